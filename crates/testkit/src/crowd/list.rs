//! What a client of a crowd got, and what was published for it.

use serde_json::Value;

/// One event as the publisher knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The id from the answer.
    pub id: String,
    /// The only user who may see it; without one everybody does.
    pub user: Option<usize>,
    /// Who published it. One publisher's events are in the order in which they were accepted.
    pub publisher: usize,
}

/// One event as a client got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub id: String,
    /// Its place, epoch and offset; kept messages have none.
    pub position: Option<(String, u64)>,
    /// Its type.
    pub event_type: String,
    /// Which of the client's connections it came on, counted from 0.
    pub connection: usize,
    /// Whether it was said to be ahead of earlier ones, which are still to come.
    pub ahead: bool,
}

/// All that one client got, in the order it came.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Whose it is.
    pub user: usize,
    /// How many connections the client had.
    pub connections: usize,
    /// The events.
    pub received: Vec<Received>,
    /// What the client was told to be missing: `messages_dropped`, and `resumed` that is not recovered.
    pub told: Vec<String>,
}

impl List {
    /// Takes in what came on this connection; gives the position from which the client has to go on.
    pub(super) fn take(&mut self, message: &Value, connection: usize) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let kind = message["type"].as_str().unwrap_or_default();
        match kind {
            "resumed" if message["payload"]["recovered"] == true => text(&message["payload"]["position"]),
            "resumed" => {
                self.told.push(message.to_string());
                text(&message["payload"]["position"])
            }
            "messages_dropped" | "error" => {
                self.told.push(message.to_string());
                None
            }
            _ => self.take_event(message, kind, connection).then(|| text(&message["position"])).flatten(),
        }
    }

    /// Whether its position is where the client is: not that of an event that went ahead.
    fn take_event(&mut self, event: &Value, kind: &str, connection: usize) -> bool {
        let Some(id) = event["id"].as_str() else { return false };
        let ahead = event["ahead"] == true;
        let position = event["position"].as_str().and_then(|text| {
            let (epoch, offset) = text.split_once(':')?;
            Some((epoch.to_owned(), offset.parse().ok()?))
        });
        let is_place = position.is_some() && !ahead;
        self.received.push(Received { id: id.to_owned(), position, event_type: kind.to_owned(), connection, ahead });
        is_place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_client_goes_on_from_the_last_event_that_was_not_ahead() {
        let mut list = List::default();
        let event = |position: &str| json!({"type": "alert", "id": "a", "position": position});
        assert_eq!(list.take(&event("7:1"), 0).as_deref(), Some("7:1"));
        let mut ahead = event("7:9");
        ahead["ahead"] = json!(true);
        assert_eq!(list.take(&ahead, 0), None);
        assert_eq!(list.take(&json!({"type": "notification", "id": "kept"}), 0), None);
        let resumed = json!({"type": "resumed", "payload": {"recovered": true, "position": "7:3"}});
        assert_eq!(list.take(&resumed, 0).as_deref(), Some("7:3"));
        assert_eq!((list.received.len(), list.told.len()), (3, 0));
        assert_eq!(list.received[0].position, Some(("7".to_owned(), 1)));
    }

    #[test]
    fn what_a_client_is_told_to_be_missing_is_noted() {
        let mut list = List::default();
        list.take(&json!({"type": "messages_dropped", "payload": {"after": "7:1", "until": "7:2"}}), 0);
        list.take(&json!({"type": "resumed", "payload": {"recovered": false, "reason": "epoch"}}), 1);
        assert_eq!((list.received.len(), list.told.len()), (0, 2));
    }
}
