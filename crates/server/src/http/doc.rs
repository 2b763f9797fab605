//! What the route list says about a route besides who may call it: from it the OpenAPI document
//! is made.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Makes the schema of one type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route is called, takes and answers.
#[derive(Clone)]
pub(crate) struct Doc {
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) text: &'static str,
    pub(crate) takes: Takes,
    pub(crate) status: u16,
    pub(crate) gives: Gives,
    /// The type of text that it answers instead, for who asks for that.
    pub(crate) or_gives: Option<&'static str>,
    pub(crate) query: Vec<Param>,
    /// Codes of 409, with when.
    pub(crate) conflicts: Vec<(&'static str, &'static str)>,
    /// Whether the wallet has to have something: 402.
    pub(crate) costs: bool,
    /// Whether it asks the engine, or whatever else may not answer: 503.
    pub(crate) may_be_unavailable: bool,
}

/// A request's body.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    Nothing,
    Json(SchemaOf),
    OptionalJson(SchemaOf),
    /// JSON that somebody else defines, signed by them: 401 when it is not.
    Signed,
    Gzip,
    /// What `git push` sends.
    Push,
}

/// An answer's body.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    /// One thing; GET tags it.
    One(SchemaOf),
    /// A whole list.
    List(SchemaOf),
    /// A page of a list: takes `page` and `limit`.
    Page(SchemaOf),
    /// Something else than the envelope.
    Raw(&'static str),
    /// Frames.
    Socket,
}

/// A parameter of the query.
#[derive(Clone)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) schema: Value,
    pub(crate) is_required: bool,
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A route called `id` in programs, and `summary` for people.
pub(crate) fn doc(id: &'static str, summary: &'static str) -> Doc {
    Doc {
        id,
        summary,
        text: "",
        takes: Takes::Nothing,
        status: 200,
        gives: Gives::Raw("text/plain"),
        or_gives: None,
        query: Vec::new(),
        conflicts: Vec::new(),
        costs: false,
        may_be_unavailable: false,
    }
}

impl Doc {
    pub(crate) fn text(mut self, text: &'static str) -> Self {
        self.text = text;
        self
    }

    pub(crate) fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Takes::Json(schema_of::<T>);
        self
    }

    pub(crate) fn may_take<T: JsonSchema>(mut self) -> Self {
        self.takes = Takes::OptionalJson(schema_of::<T>);
        self
    }

    pub(crate) fn takes_signed(mut self) -> Self {
        self.takes = Takes::Signed;
        self
    }

    pub(crate) fn takes_push(mut self) -> Self {
        self.takes = Takes::Push;
        self
    }

    pub(crate) fn takes_gzip(mut self) -> Self {
        self.takes = Takes::Gzip;
        self
    }

    pub(crate) fn gives<T: JsonSchema>(mut self) -> Self {
        self.gives = Gives::One(schema_of::<T>);
        self
    }

    pub(crate) fn creates<T: JsonSchema>(mut self) -> Self {
        self.status = 201;
        self.gives::<T>()
    }

    pub(crate) fn accepts<T: JsonSchema>(mut self) -> Self {
        self.status = 202;
        self.gives::<T>()
    }

    pub(crate) fn lists<T: JsonSchema>(mut self) -> Self {
        self.gives = Gives::List(schema_of::<T>);
        self
    }

    pub(crate) fn pages<T: JsonSchema>(mut self) -> Self {
        self.gives = Gives::Page(schema_of::<T>);
        self.query(
            "page",
            "Which page, from 1",
            json!({"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1}),
        )
        .query(
            "limit",
            "How many rows a page has",
            json!({"type": "integer", "minimum": 1, "maximum": 50, "default": 20}),
        )
    }

    pub(crate) fn raw(mut self, kind: &'static str) -> Self {
        self.gives = Gives::Raw(kind);
        self
    }

    pub(crate) fn or_raw(mut self, kind: &'static str) -> Self {
        self.or_gives = Some(kind);
        self
    }

    pub(crate) fn socket(mut self) -> Self {
        self.status = 101;
        self.gives = Gives::Socket;
        self
    }

    pub(crate) fn query(mut self, name: &'static str, text: &'static str, schema: Value) -> Self {
        self.query.push(Param {
            name,
            text,
            schema,
            is_required: false,
        });
        self
    }

    /// The parameter that was named last cannot be left out.
    pub(crate) fn required(mut self) -> Self {
        if let Some(param) = self.query.last_mut() {
            param.is_required = true;
        }
        self
    }

    pub(crate) fn conflict(mut self, code: &'static str, when: &'static str) -> Self {
        self.conflicts.push((code, when));
        self
    }

    pub(crate) fn costs(mut self) -> Self {
        self.costs = true;
        self
    }

    pub(crate) fn engine(mut self) -> Self {
        self.may_be_unavailable = true;
        self
    }
}
