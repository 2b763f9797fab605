//! The envelope around every answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An answer that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Success<T> {
    /// Always `true`.
    pub success: bool,
    /// What was asked for.
    pub data: T,
    /// Where this page stands, in list answers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
}

impl<T> Success<T> {
    /// Wraps a single thing.
    pub fn new(data: T) -> Self {
        Self {
            success: true,
            data,
            meta: None,
        }
    }

    /// Wraps one page of a list.
    pub fn page(data: T, meta: Meta) -> Self {
        Self {
            success: true,
            data,
            meta: Some(meta),
        }
    }
}

/// An answer that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Always `false`.
    pub success: bool,
    /// A text for a person: what is wrong and what to do.
    pub error: String,
    /// The same for a program.
    pub code: String,
    /// Which inputs are wrong, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// Where a page stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Meta {
    /// The page, from 1.
    pub page: u32,
    /// Rows a page, 1 to 50.
    pub limit: u32,
    /// Rows in all.
    pub total: u64,
    /// Whether another page follows.
    pub has_more: bool,
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    page: u32,
    limit: u32,
}

impl Paging {
    /// Rows a page when the caller does not say.
    pub const DEFAULT_LIMIT: u32 = 20;
    /// The most rows a page may have.
    pub const MAX_LIMIT: u32 = 50;
    /// The last page that can be asked for.
    pub const MAX_PAGE: u32 = 1_000_000;

    /// The page `page` (from 1) of `limit` rows (1 to 50); the name of the bad parameter otherwise.
    pub fn new(page: Option<u32>, limit: Option<u32>) -> Result<Self, &'static str> {
        let (page, limit) = (page.unwrap_or(1), limit.unwrap_or(Self::DEFAULT_LIMIT));
        if !(1..=Self::MAX_PAGE).contains(&page) {
            return Err("page");
        }
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return Err("limit");
        }
        Ok(Self { page, limit })
    }

    /// How many rows come before this page.
    pub fn offset(self) -> u64 {
        u64::from(self.page - 1) * u64::from(self.limit)
    }

    /// How many rows this page has at most.
    pub fn limit(self) -> u32 {
        self.limit
    }

    /// The `meta` of this page of a list of `total` rows.
    pub fn meta(self, total: u64) -> Meta {
        let has_more = self.offset() + u64::from(self.limit) < total;
        Meta {
            page: self.page,
            limit: self.limit,
            total,
            has_more,
        }
    }
}
