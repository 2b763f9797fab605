//! A place where effects stop for ever, so that a test can kill the server at that very point.

use std::future::{Future, pending};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where around an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It was asked for, and has not happened.
    Before,
    /// It has happened, and whoever asked does not know.
    After,
}

#[derive(Debug, Default)]
struct State {
    /// The effect that stops, counted down, and where.
    armed: Option<(u32, When)>,
    is_reached: bool,
}

/// Counts effects, and lets one of them stop.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
}

impl Gate {
    /// Lets the `nth` effect from now on stop, counted from 1.
    pub fn arm(&self, nth: u32, when: When) {
        *self.state() = State {
            armed: Some((nth, when)),
            is_reached: false,
        };
    }

    /// Lets everything pass.
    pub fn open(&self) {
        *self.state() = State::default();
    }

    /// Whether an effect has stopped.
    pub fn is_reached(&self) -> bool {
        self.state().is_reached
    }

    /// Does `effect`, unless it is the one that stops.
    pub async fn around<T>(&self, effect: impl Future<Output = T>) -> T {
        let turn = self.turn();
        if turn == Some(When::Before) {
            self.stop().await;
        }
        let answer = effect.await;
        if turn == Some(When::After) {
            self.stop().await;
        }
        answer
    }

    /// Counts an effect; says where it stops if it is its turn.
    pub fn turn(&self) -> Option<When> {
        let mut state = self.state();
        let (left, when) = state.armed.as_mut().map(|(left, when)| {
            *left -= 1;
            (*left, *when)
        })?;
        if left > 0 {
            return None;
        }
        state.armed = None;
        Some(when)
    }

    /// Stops for ever.
    pub async fn stop(&self) {
        self.state().is_reached = true;
        pending::<()>().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
