//! The chat room of the `chat` examples: who is here, what was said, and what everybody is told.
//! Pure: no sockets, no clock, so the three runtimes share it.

use std::collections::VecDeque;

use serde_json::{Value, json};

const MAX_NAME: usize = 32;
const MAX_TEXT: usize = 2000;
const HISTORY: usize = 50;

/// To whom something is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum To {
    Sender,
    Others,
    All,
}

/// Something to be told.
pub(crate) type Told = (To, String);

/// Everybody who is here, and what they said last.
#[derive(Default)]
pub(crate) struct Room {
    people: Vec<Person>,
    history: VecDeque<Value>,
    guests: u64,
}

struct Person {
    id: String,
    name: String,
    version: &'static str,
}

enum Said<'a> {
    Name(&'a str),
    Message(&'a str),
    Typing,
}

impl Room {
    /// Somebody comes in.
    pub(crate) fn join(&mut self, id: &str, version: &'static str) -> Vec<Told> {
        self.guests += 1;
        let name = format!("guest-{}", self.guests);
        let welcome = json!({
            "type": "welcome", "id": id, "name": name, "version": version, "history": self.history,
        });
        self.people.push(Person { id: id.into(), name, version });
        vec![(To::Sender, welcome.to_string()), self.roll()]
    }

    /// Somebody goes.
    pub(crate) fn leave(&mut self, id: &str) -> Vec<Told> {
        self.people.retain(|person| person.id != id);
        vec![self.roll()]
    }

    /// Somebody says something, at `at` milliseconds since 1970.
    pub(crate) fn hear(&mut self, id: &str, text: &str, at: u64) -> Vec<Told> {
        let Some(person) = self.people.iter_mut().find(|person| person.id == id) else {
            return Vec::new();
        };
        let parsed: Value = serde_json::from_str(text).unwrap_or_default();
        match understand(&parsed, text) {
            Said::Typing => {
                let typing = json!({ "type": "typing", "id": id, "name": person.name });
                vec![(To::Others, typing.to_string())]
            }
            Said::Name(name) => {
                let name = name.replace(char::is_control, " ");
                let name: String = name.trim().chars().take(MAX_NAME).collect();
                if name.is_empty() {
                    return Vec::new();
                }
                person.name = name.trim_end().into();
                vec![self.roll()]
            }
            Said::Message(text) => {
                let text: String = text.trim().chars().take(MAX_TEXT).collect();
                if text.is_empty() {
                    return Vec::new();
                }
                let message = json!({
                    "type": "message", "id": id, "name": person.name, "text": text, "at": at,
                });
                let told = message.to_string();
                self.history.push_back(message);
                if self.history.len() > HISTORY {
                    self.history.pop_front();
                }
                vec![(To::All, told)]
            }
        }
    }

    fn roll(&self) -> Told {
        let people: Vec<_> = self
            .people
            .iter()
            .map(
                |person| json!({ "id": person.id, "name": person.name, "version": person.version }),
            )
            .collect();
        (To::All, json!({ "type": "people", "people": people }).to_string())
    }
}

/// What is no object that a page sends was typed by a person at a bare socket.
fn understand<'a>(parsed: &'a Value, text: &'a str) -> Said<'a> {
    match (parsed["type"].as_str(), parsed["name"].as_str(), parsed["text"].as_str()) {
        (Some("typing"), _, _) => Said::Typing,
        (Some("name"), Some(name), _) => Said::Name(name),
        (Some("message"), _, Some(text)) => Said::Message(text),
        _ => Said::Message(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(told: &Told) -> Value {
        serde_json::from_str(&told.1).unwrap()
    }

    #[test]
    fn a_newcomer_is_welcomed_with_what_was_said() {
        let mut room = Room::default();
        room.join("a", "rfc6455");
        room.hear("a", "hello", 7);
        let told = room.join("b", "draft76");
        assert_eq!(told[0].0, To::Sender);
        let welcome = object(&told[0]);
        assert_eq!(
            (&welcome["name"], &welcome["history"][0]["text"]),
            (&json!("guest-2"), &json!("hello"))
        );
        assert_eq!(object(&told[1])["people"][1]["version"], "draft76");
        assert_eq!(object(&room.leave("a")[0])["people"][0]["id"], "b");
    }

    #[test]
    fn bare_text_is_a_message_and_objects_are_understood() {
        let mut room = Room::default();
        room.join("a", "draft75");
        assert_eq!(
            object(&room.hear("a", r#"{"type":"name","name":" Ann\n "}"#, 0)[0])["people"][0]["name"],
            "Ann"
        );
        for text in ["hi", r#"{"type":"message","text":"hi"}"#] {
            let told = room.hear("a", text, 5);
            assert_eq!(told[0].0, To::All);
            assert_eq!(
                (&object(&told[0])["text"], &object(&told[0])["name"]),
                (&json!("hi"), &json!("Ann"))
            );
        }
        let odd = r#"{"type":"message","text":5}"#;
        assert_eq!(object(&room.hear("a", odd, 0)[0])["text"], odd);
        assert_eq!(room.hear("a", r#"{"type":"typing"}"#, 0)[0].0, To::Others);
        assert_eq!(room.hear("a", "  ", 0), []);
        assert_eq!(room.hear("nobody", "hi", 0), []);
    }

    #[test]
    fn names_messages_and_history_are_bounded() {
        let mut room = Room::default();
        room.join("a", "rfc6455");
        let told = room.hear("a", &"ü".repeat(3000), 0);
        assert_eq!(object(&told[0])["text"].as_str().unwrap().chars().count(), MAX_TEXT);
        (0..60).for_each(|n| drop(room.hear("a", &n.to_string(), n)));
        let welcome = object(&room.join("b", "rfc6455")[0]);
        assert_eq!(welcome["history"].as_array().unwrap().len(), HISTORY);
        assert_eq!(welcome["history"][0]["text"], "10");
    }
}
