//! An Asterisk as a source of events. Knows nothing of the hub: bytes of its Manager Interface go in, and what they
//! prove comes out, as event types with payloads and ids.
//!
//! ```
//! use hookswitch_asterisk::{Identity, Model, Reader};
//!
//! let mut reader = Reader::default();
//! let mut model = Model::new("pbx", Identity::default());
//! reader.push(b"Asterisk Call Manager/11.0.0\r\nEvent: Newchannel\r\nPrivilege: call,all\r\n");
//! reader.push(b"Channel: PJSIP/trunk-0\r\nChannelState: 4\r\nCallerIDNum: 4930111\r\n");
//! reader.push(b"Context: from-trunk\r\nExten: 400\r\nUniqueid: 1.0\r\nLinkedid: 1.0\r\n\r\n");
//! while let Some(message) = reader.next()? {
//!     model.apply(&message, 0);
//! }
//! assert_eq!(model.take()[0].event_type, "call.incoming");
//! # Ok::<(), hookswitch_asterisk::ReadError>(())
//! ```

mod client;
mod escape;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod message;
mod model;
mod reader;

pub use client::{ClientError, ClientSettings, Login, PbxFacts, SourceNotice, follow, run_connection};
pub use identity::{AgentTable, DEFAULT_AGENTS, DEFAULT_OUTSIDE, Identity, IdentityError};
pub use message::Message;
pub use model::{ListItems, Model, SourceEvent};
pub use reader::{ReadError, ReadLimits, Reader};
