//! What events tell while the lists of a sync are on their way is newer than what those lists say of it.

use super::{MOST, Model, types::Subject};
use crate::message::Message;

impl Model {
    /// Notes what an event tells of, while a sync runs.
    pub(crate) fn note_touched(&mut self, event: &str, m: &Message<'_>) {
        let Some(running) = self.syncing.as_mut().filter(|running| running.touched.len() < MOST) else { return };
        let text = |name: &str| m.text(name).into_owned();
        let subject = match event {
            "Hangup" => Subject::Channel(text("Uniqueid")),
            "BridgeEnter" | "BridgeLeave" => Subject::Bridge(text("Uniqueid")),
            "QueueCallerJoin" | "QueueCallerLeave" => Subject::Wait(text("Uniqueid")),
            "ParkedCall" | "UnParkedCall" | "ParkedCallTimeOut" => Subject::Parking(text("ParkeeUniqueid")),
            "DeviceStateChange" => Subject::Device(text("Device")),
            "QueueMemberAdded" | "QueueMemberRemoved" | "QueueMemberPause" => {
                Subject::Member(text("Queue"), text("Interface"))
            }
            _ => return,
        };
        running.touched.insert(subject);
    }

    /// Whether the lists are older than what is known of it.
    pub(crate) fn is_touched(&self, subject: &Subject) -> bool {
        self.syncing.as_ref().is_some_and(|running| running.touched.contains(subject))
    }
}
