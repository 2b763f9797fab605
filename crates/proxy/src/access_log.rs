//! The requests of hosts whose owners want them in their logs, until the control plane fetches them.
//!
//! Guarantees: what is kept is bounded; what did not fit is counted, and the count comes with the
//! next ones. A process that ends takes along what nobody has fetched. Not here: how a record reads in
//! the log (`tose-server`).

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{REFERER, USER_AGENT};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tose_api::ProjectId;
use tose_model::traffic::AccessRecord;

use crate::origin::Origin;
use crate::worker::Worker;

/// How many records wait at most.
const MAX_RECORDS: usize = 8_192;
/// The most bytes of a text that a visitor chose.
const MAX_TEXT: usize = 512;
/// The most bytes of one answer of the control socket.
const MAX_PAGE_BYTES: usize = 40 * 1024;

/// Records that wait to be fetched.
#[derive(Default)]
pub(crate) struct AccessLog(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// With the moment of their end.
    records: VecDeque<(Instant, AccessRecord)>,
    lost: u64,
}

impl AccessLog {
    /// Keeps one more, if there is room.
    fn push(&self, ended: Instant, record: AccessRecord) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.records.len() < MAX_RECORDS {
            waiting.records.push_back((ended, record));
        } else {
            waiting.lost += 1;
        }
    }

    /// Gives away the oldest, as many as fit into an answer; and how many were lost.
    pub(crate) fn take(&self) -> (Vec<AccessRecord>, u64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::new();
        let mut bytes = 0;
        while bytes < MAX_PAGE_BYTES
            && let Some((ended, mut record)) = waiting.records.pop_front()
        {
            record.ended_us_ago = micros(ended.elapsed());
            bytes += record.max_json_len();
            records.push(record);
        }
        (records, std::mem::take(&mut waiting.lost))
    }
}

/// A request that is being answered; once this is dropped it is in the log.
pub(crate) struct Draft {
    worker: Rc<Worker>,
    began: Instant,
    record: AccessRecord,
}

impl Draft {
    /// Of a request to a host of this project.
    pub(crate) fn new(
        worker: &Rc<Worker>,
        project_id: ProjectId,
        head: &Parts,
        origin: &Origin,
    ) -> Self {
        let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let record = AccessRecord {
            project_id,
            ended_us_ago: 0,
            address: origin.ip,
            method: head.method.as_str().to_owned(),
            host: text(&head.headers, &http::header::HOST).unwrap_or_default(),
            path: cut(path),
            status: 0,
            sent_bytes: 0,
            took_us: 0,
            referer: text(&head.headers, &REFERER),
            user_agent: text(&head.headers, &USER_AGENT),
        };
        Self {
            worker: Rc::clone(worker),
            began: Instant::now(),
            record,
        }
    }

    /// Notes the answer.
    pub(crate) fn answer(&mut self, status: u16) {
        self.record.status = status;
    }

    /// Notes bytes of the answer's body.
    pub(crate) fn note_sent(&mut self, count: usize) {
        self.record.sent_bytes += count as u64;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let ended = Instant::now();
        self.record.took_us = micros(ended.duration_since(self.began));
        self.worker.access_log().push(ended, self.record.clone());
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value: &HeaderValue = headers.get(name)?;
    Some(cut(&String::from_utf8_lossy(value.as_bytes())))
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    text[..end].to_owned()
}
