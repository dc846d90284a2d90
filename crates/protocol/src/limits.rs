//! The bounds that the outside can run into, each with what happens there.

/// Longest tenant id, in characters; a longer one is refused.
pub const TENANT_ID_CHARS: usize = 36;
/// Longest textual user id, in characters; a longer one is refused.
pub const USER_ID_CHARS: usize = 64;
/// Longest event type, in characters; a longer one is refused.
pub const EVENT_TYPE_CHARS: usize = 100;
/// Longest event id chosen by a publisher, in characters; a longer one is refused.
pub const EVENT_ID_CHARS: usize = 64;
/// Longest chat session key, in characters; a longer one is refused.
pub const SESSION_KEY_CHARS: usize = 128;
/// Longest topic name, in characters; a longer one is refused.
pub const TOPIC_CHARS: usize = 100;
/// Most names in one subscribe or unsubscribe command, and most that one connection may hold;
/// beyond it the command is answered with an error and the set stays as it was.
pub const SUBSCRIPTION_NAMES: usize = 256;
/// Deepest nesting of JSON that is accepted anywhere; deeper is refused.
pub const JSON_DEPTH: usize = 64;
/// Largest message a client may send over its WebSocket, in bytes; a larger one closes the connection with 1009.
pub const CLIENT_MESSAGE_BYTES: usize = 512 * 1024;
/// Longest `sender_type`, `sender_name` or `session_id` of a client's typing indicator, in bytes; a longer one is
/// refused with `too_large`.
pub const TYPING_FIELD_BYTES: usize = 256;
/// Largest payload of a client's typing indicator as it is relayed, in bytes; a larger one is refused with `too_large`.
pub const TYPING_BYTES: usize = 1024;
/// Longest token that a client may give over its WebSocket, in bytes; a longer one is refused with `too_large`.
pub const TOKEN_BYTES: usize = 16 * 1024;
/// Most of an error's sentence that is told, in bytes; of a longer one the middle is left out.
pub const ERROR_MESSAGE_BYTES: usize = 512;
/// Most events in one publishing request; more are refused.
pub const EVENTS_PER_REQUEST: usize = 1_000;
/// Largest publishing body, in bytes; a larger one is refused with 413.
pub const PUBLISH_BODY_BYTES: usize = 1024 * 1024;
