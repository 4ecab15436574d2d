//! What a host says, put together: nothing says that an answer is complete, answers come in pieces and in
//! each other's way, and one may come in what is only meant to be looked at meanwhile.

use std::collections::VecDeque;

use serde::Serialize;

use super::{
    content::{Found, begins_one, beside, ends_within_one, whole},
    frame::Frame,
};
use crate::relay::Delivery;

/// How long nothing more of an answer comes when it is complete, in milliseconds.
pub(super) const QUIET: i64 = 1000;
/// Answers that are put together at once; of more, the oldest is as it is.
const MAX_ANSWERS: usize = 64;
/// Most bytes of one that is put together.
const MAX_TEXT: usize = 4 << 20;
/// Most pieces of one, because each makes it be looked at anew.
const MAX_PIECES: usize = 4096;

/// Something that a host said in the clear: anybody on the way may have made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Heard {
    /// The host listens, at first or again.
    Connected,
    /// The agent is at work.
    Typing,
    /// What there is of an answer so far: the whole of it and no increment, or something else that came up
    /// meanwhile.
    Stream {
        /// Of the message that it is about.
        message_id: Option<String>,
        /// The text.
        content: String,
        /// Whether that message has its answer already. What others asked of a busy agent is answered like
        /// this, and nothing more comes.
        is_late: bool,
    },
    /// A piece of an answer.
    Response {
        /// Of the message that is answered; `None` for what is said unasked.
        message_id: Option<String>,
        /// The text.
        content: String,
    },
    /// Something failed.
    Error {
        /// Of the message that failed; `None` where the host does not say.
        message_id: Option<String>,
        /// What the host says.
        error: String,
    },
}

/// What came of frames.
#[derive(Default)]
pub(super) struct Came {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) heard: Vec<Heard>,
}

/// Puts answers together.
#[derive(Default)]
pub(super) struct Answers {
    answers: VecDeque<Answer>,
    pub(super) came: Came,
}

struct Answer {
    message_id: Option<String>,
    /// What may be the beginning of a text of ctalk's.
    held: String,
    pieces: usize,
    /// What was streamed last, of which the next frame may be a longer form or a continuation.
    streamed: String,
    /// Whether something of it came that was not streamed.
    is_answered: bool,
    /// When something came, by the monotonic clock.
    touched: i64,
}

impl Answers {
    pub(super) fn take(&mut self, frame: Frame, now: i64) {
        match frame {
            Frame::Typing => self.came.heard.push(Heard::Typing),
            Frame::Error { message_id, error } => {
                self.came.heard.push(Heard::Error { message_id, error });
            }
            Frame::Response {
                message_id,
                content,
                ..
            } => {
                let mut answer = self.answer(message_id, now);
                answer.respond(content, &mut self.came);
                self.answers.push_back(answer);
            }
            Frame::Stream {
                message_id,
                content,
                ..
            } => {
                let mut answer = self.answer(message_id, now);
                answer.stream(content, &mut self.came);
                self.answers.push_back(answer);
            }
            Frame::Other => {}
        }
    }

    /// Gives up what was held for a continuation that did not come.
    pub(super) fn look(&mut self, now: i64) {
        for answer in &mut self.answers {
            if !answer.held.is_empty() && answer.left(now) == 0 {
                answer.let_go(&mut self.came);
            }
        }
    }

    /// How long it takes until something that is held may be given up, in milliseconds.
    pub(super) fn left(&self, now: i64) -> Option<i64> {
        let held = self.answers.iter().filter(|answer| !answer.held.is_empty());
        held.map(|answer| answer.left(now)).min()
    }

    /// Takes an answer out, or begins it.
    fn answer(&mut self, message_id: Option<String>, now: i64) -> Answer {
        let mut known = self.answers.iter();
        let place = known.position(|answer| answer.message_id == message_id);
        if let Some(answer) = place.and_then(|place| self.answers.remove(place)) {
            return Answer {
                touched: now,
                ..answer
            };
        }
        if self.answers.len() >= MAX_ANSWERS
            && let Some(mut oldest) = self.answers.pop_front()
        {
            oldest.let_go(&mut self.came);
        }
        Answer {
            message_id,
            held: String::new(),
            pieces: 0,
            streamed: String::new(),
            is_answered: false,
            touched: now,
        }
    }
}

impl Answer {
    fn left(&self, now: i64) -> i64 {
        (QUIET - now.saturating_sub(self.touched)).max(0)
    }

    fn respond(&mut self, content: String, came: &mut Came) {
        self.is_answered = true;
        if self.held.is_empty() && !begins_one(&content) {
            return came.respond(self.message_id.clone(), content);
        }
        self.held.push_str(&content);
        self.pieces += 1;
        let found = whole(&self.held);
        let goes_on = found.is_empty()
            && ends_within_one(&self.held)
            && self.held.len() < MAX_TEXT
            && self.pieces < MAX_PIECES;
        if !goes_on {
            self.held = beside(&self.held, &found);
            came.deliver(found);
            self.let_go(came);
        }
    }

    /// What is held is nothing but words.
    fn let_go(&mut self, came: &mut Came) {
        self.pieces = 0;
        let content = std::mem::take(&mut self.held);
        if !content.is_empty() {
            came.respond(self.message_id.clone(), content);
        }
    }

    fn stream(&mut self, content: String, came: &mut Came) {
        let continues = !content.starts_with(&self.streamed)
            && ends_within_one(&self.streamed)
            && self.streamed.len() + content.len() < MAX_TEXT;
        if continues {
            self.streamed.push_str(&content);
        } else {
            self.streamed.clone_from(&content);
        }
        if begins_one(&self.streamed) {
            came.deliver(whole(&self.streamed));
            return;
        }
        came.heard.push(Heard::Stream {
            message_id: self.message_id.clone(),
            content,
            is_late: self.is_answered,
        });
    }
}

impl Came {
    fn respond(&mut self, message_id: Option<String>, content: String) {
        self.heard.push(Heard::Response {
            message_id,
            content,
        });
    }

    /// The same text is the same delivery, however often it comes.
    fn deliver(&mut self, found: Vec<Found>) {
        self.deliveries
            .extend(found.into_iter().map(|found| Delivery {
                relay_id: Some(found.id),
                sent_at: None,
                raw: found.text.into_bytes().into(),
            }));
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, Frame, Heard, MAX_ANSWERS, QUIET};

    fn response(id: &str, content: &str) -> Frame {
        Frame::Response {
            message_id: Some(id.to_owned()),
            content: content.to_owned(),
            done: Some(true),
        }
    }

    fn stream(content: &str) -> Frame {
        Frame::Stream {
            message_id: Some("a".to_owned()),
            content: content.to_owned(),
            done: false,
        }
    }

    fn said(answers: &mut Answers) -> Vec<String> {
        assert!(answers.came.deliveries.is_empty());
        let heard = answers.came.heard.drain(..);
        heard
            .filter_map(|heard| match heard {
                Heard::Response { content, .. } | Heard::Stream { content, .. } => Some(content),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn words_are_passed_on_as_they_come_and_the_beginning_of_an_envelope_waits() {
        let mut answers = Answers::default();
        answers.take(response("a", "words"), 0);
        assert_eq!(said(&mut answers), ["words"]);
        answers.take(response("a", "ctalk2:AAAA"), 10);
        answers.take(response("b", "others"), 20);
        assert_eq!(said(&mut answers), ["others"]);
        assert_eq!(answers.left(20), Some(QUIET - 10));
        answers.take(response("a", "BBBB"), 30);
        answers.look(29 + QUIET);
        assert!(said(&mut answers).is_empty());
        answers.look(30 + QUIET);
        assert_eq!(said(&mut answers), ["ctalk2:AAAABBBB"]);
        assert_eq!(answers.left(i64::MAX), None);
    }

    #[test]
    fn what_begins_like_an_envelope_and_goes_on_in_words_does_not_wait() {
        let mut answers = Answers::default();
        answers.take(response("a", "ctalk2:AAAA"), 0);
        answers.take(response("a", ", I said"), 0);
        assert_eq!(said(&mut answers), ["ctalk2:AAAA, I said"]);
    }

    #[test]
    fn no_more_answers_are_held_than_there_is_room_for() {
        let mut answers = Answers::default();
        for number in 0..=MAX_ANSWERS {
            answers.take(response(&number.to_string(), "ctalk2:AAAA"), 0);
        }
        assert_eq!(answers.answers.len(), MAX_ANSWERS);
        assert_eq!(said(&mut answers), ["ctalk2:AAAA"]);
    }

    #[test]
    fn what_is_streamed_for_a_message_that_has_its_answer_is_late() {
        let mut answers = Answers::default();
        for frame in [
            stream("He"),
            stream("Hello"),
            response("a", "Hello"),
            stream("And you"),
        ] {
            answers.take(frame, 0);
        }
        let late: Vec<_> = answers.came.heard.drain(..).collect();
        let is_late = late.iter().filter_map(|heard| match heard {
            Heard::Stream { is_late, .. } => Some(*is_late),
            _ => None,
        });
        assert_eq!(is_late.collect::<Vec<_>>(), [false, false, true]);
    }
}
