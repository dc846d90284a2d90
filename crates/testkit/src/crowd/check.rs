//! Whether every client of a crowd has exactly what was published for it.

use std::collections::{HashMap, HashSet};

use super::list::{List, Published, Received};

/// What a crowd's lists say.
#[derive(Debug, Clone, Default)]
pub struct CrowdReport {
    /// What must not be: a missing event, a double, a wrong order, a stranger's event. One sentence each.
    pub faults: Vec<String>,
    /// What clients were told to be missing.
    pub told: Vec<String>,
    /// Kept messages that came again on a later connection, because their confirmation was lost.
    pub repeats: Vec<String>,
    /// How many connections all clients had.
    pub connections: usize,
    /// How many events all clients got.
    pub received: usize,
}

impl CrowdReport {
    /// Compares these lists with what was published.
    pub fn of(lists: &[List], published: &[Published]) -> Self {
        let mut report = Self::default();
        let mut places = HashMap::new();
        for list in lists {
            report.connections += list.connections;
            report.received += list.received.len();
            report.told.extend(list.told.iter().map(|told| format!("user {}: {told}", list.user)));
            report.check_set(list, published);
            report.check_repeats(list);
            report.check_order(list, published);
            report.check_places(list, &mut places);
        }
        report
    }

    /// Nothing is missing, and nothing is there that is another's.
    fn check_set(&mut self, list: &List, published: &[Published]) {
        let mine = published.iter().filter(|event| event.user.is_none_or(|user| user == list.user));
        let mine: HashSet<&str> = mine.map(|event| event.id.as_str()).collect();
        let got: HashSet<&str> = list.received.iter().map(|event| event.id.as_str()).collect();
        for id in mine.difference(&got) {
            self.fault(list, &format!("{id} is missing"));
        }
        for id in got.difference(&mine) {
            self.fault(list, &format!("{id} was not published for this user"));
        }
    }

    /// The only event that may come twice is a kept one, on another connection.
    fn check_repeats(&mut self, list: &List) {
        let mut seen: HashMap<&str, Vec<&Received>> = HashMap::new();
        for event in &list.received {
            let before = seen.entry(&event.id).or_default();
            let is_repeat_of_kept = |earlier: &&Received| {
                let was_kept = earlier.position.is_none() && event.position.is_none();
                was_kept && earlier.connection != event.connection
            };
            let told = |earlier: &Received| format!("again, {event:?}, after {earlier:?}");
            match before.iter().find(|earlier| !is_repeat_of_kept(earlier)) {
                Some(earlier) => self.fault(list, &told(earlier)),
                None => {
                    self.repeats.extend(before.last().map(|earlier| format!("user {}: {}", list.user, told(earlier))));
                }
            }
            before.push(event);
        }
    }

    /// Positions rise, and each publisher's events come in its order.
    fn check_order(&mut self, list: &List, published: &[Published]) {
        let in_order: HashMap<&str, (usize, usize)> =
            published.iter().enumerate().map(|(n, event)| (event.id.as_str(), (event.publisher, n))).collect();
        let mut last: Option<&(String, u64)> = None;
        let mut newest: HashMap<usize, usize> = HashMap::new();
        for event in list.received.iter().filter(|event| !event.ahead) {
            let Some(position) = &event.position else { continue };
            if let Some(last) = last.filter(|last| last.0 != position.0 || last.1 >= position.1) {
                self.fault(list, &format!("{event:?} came after {last:?}"));
            }
            last = Some(position);
            let Some((publisher, n)) = in_order.get(event.id.as_str()) else { continue };
            if newest.insert(*publisher, *n).is_some_and(|before| before > *n) {
                self.fault(list, &format!("{event:?} came before an earlier one of publisher {publisher}"));
            }
        }
    }

    /// An event has the same place for everybody.
    fn check_places<'a>(&mut self, list: &'a List, places: &mut HashMap<&'a str, &'a (String, u64)>) {
        for event in &list.received {
            let Some(position) = &event.position else { continue };
            let place = *places.entry(&event.id).or_insert(position);
            if place != position {
                self.fault(list, &format!("{event:?} is at {place:?} for others"));
            }
        }
    }

    fn fault(&mut self, list: &List, what: &str) {
        self.faults.push(format!("user {}, {} connections: {what}", list.user, list.connections));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(ids: &[&str]) -> Vec<Published> {
        ids.iter().map(|id| Published { id: (*id).to_owned(), user: None, publisher: 0 }).collect()
    }

    fn got(id: &str, offset: Option<u64>, connection: usize) -> Received {
        let position = offset.map(|offset| ("7".to_owned(), offset));
        Received { id: id.to_owned(), position, event_type: "alert".to_owned(), connection, ahead: false }
    }

    fn list(user: usize, received: Vec<Received>) -> List {
        List { user, connections: 2, received, told: Vec::new() }
    }

    fn faults(lists: &[List], published: &[Published]) -> Vec<String> {
        CrowdReport::of(lists, published).faults
    }

    #[test]
    fn a_complete_list_in_order_has_no_fault() {
        let lists = [list(1, vec![got("a", Some(1), 0), got("b", Some(3), 1)])];
        assert_eq!(faults(&lists, &published(&["a", "b"])), Vec::<String>::new());
    }

    #[test]
    fn a_missing_event_and_a_strangers_event_are_faults() {
        let found = faults(&[list(1, vec![got("a", Some(1), 0)])], &published(&["a", "b"]));
        assert!(found.len() == 1 && found[0].contains("b is missing"), "{found:?}");
        let mut events = published(&["a"]);
        events[0].user = Some(2);
        let found = faults(&[list(1, vec![got("a", Some(1), 0)])], &events);
        assert!(found.len() == 1 && found[0].contains("not published for this user"), "{found:?}");
    }

    #[test]
    fn a_repeat_is_a_fault_unless_a_kept_message_comes_on_another_connection() {
        let events = published(&["a"]);
        for (first, second) in [((Some(1), 0), (Some(1), 1)), ((None, 0), (None, 0)), ((None, 0), (Some(1), 1))] {
            let twice = list(1, vec![got("a", first.0, first.1), got("a", second.0, second.1)]);
            assert!(faults(&[twice], &events).iter().any(|fault| fault.contains("again")), "{first:?} {second:?}");
        }
        let report = CrowdReport::of(&[list(1, vec![got("a", None, 0), got("a", None, 1)])], &events);
        assert_eq!((report.faults.len(), report.repeats.len()), (0, 1), "{report:?}");
    }

    #[test]
    fn a_wrong_order_is_a_fault() {
        let events = published(&["a", "b"]);
        let falling = list(1, vec![got("a", Some(2), 0), got("b", Some(1), 0)]);
        assert!(faults(&[falling], &events)[0].contains("came after"));
        let exchanged = list(1, vec![got("b", Some(1), 0), got("a", Some(2), 0)]);
        assert!(faults(&[exchanged], &events)[0].contains("earlier one of publisher 0"));
    }

    #[test]
    fn two_places_of_one_event_are_a_fault() {
        let lists = [list(1, vec![got("a", Some(1), 0)]), list(2, vec![got("a", Some(2), 0)])];
        assert!(faults(&lists, &published(&["a"]))[0].contains("for others"));
    }
}
