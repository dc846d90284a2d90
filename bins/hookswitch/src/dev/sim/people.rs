//! Who works in the simulated call centre, who calls it, and what they say.

/// An agent: user id, name, and the queues answered.
pub(super) struct AgentProfile {
    pub(super) user: i64,
    pub(super) name: &'static str,
    pub(super) queues: &'static [usize],
}

const fn profile(user: i64, name: &'static str, queues: &'static [usize]) -> AgentProfile {
    AgentProfile { user, name, queues }
}

pub(super) const AGENT_PROFILES: [AgentProfile; 12] = [
    profile(101, "Ada Byron", &[0]),
    profile(102, "Alan Turner", &[0]),
    profile(103, "Grace Harbor", &[0, 1]),
    profile(104, "Edgar Dykes", &[1]),
    profile(105, "Barbara Lisle", &[0]),
    profile(106, "Donald Knot", &[0, 1]),
    profile(107, "Radia Pearl", &[1]),
    profile(108, "Ken Thomas", &[0]),
    profile(109, "Frances Alder", &[0, 1]),
    profile(110, "John Baker", &[0]),
    profile(111, "Jean Bartok", &[1]),
    profile(112, "Tony Hoarse", &[0, 1]),
];

/// The supervisor, who is told of lost callers.
pub(crate) const SUPERVISOR: i64 = 201;

/// Queue name and the number callers dial for it.
pub(super) const QUEUES: [(&str, &str); 2] = [("support", "8001"), ("sales", "8002")];

pub(super) const CALLERS: [&str; 12] = [
    "Maria Gomez",
    "Jonas Weber",
    "Aiko Tanaka",
    "Peter Novak",
    "Fatima Haddad",
    "Liam Murphy",
    "Chiara Rossi",
    "Noah Jensen",
    "Priya Nair",
    "Tomas Silva",
    "Zoe Martin",
    "Omar Diallo",
];

pub(super) const VISITOR_LINES: [&str; 6] = [
    "Hello, is anybody there?",
    "My order has not arrived yet.",
    "It is number 4711.",
    "Could you send it to another address?",
    "And when will it be here?",
    "Great, thank you!",
];

pub(super) const AGENT_LINES: [&str; 6] = [
    "Good day, how can I help?",
    "Let me look that up for you.",
    "I can see it, it left our house yesterday.",
    "Of course, which address shall it be?",
    "Tomorrow before noon.",
    "You are welcome. Have a nice day!",
];
