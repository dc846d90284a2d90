//! How a route is described: a few lines beside the types it takes and answers.

use hookswitch_protocol::ErrorCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::routes::Endpoint;

/// Makes the schema of a type; what has a name goes into the generator's definitions.
pub(crate) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// What one endpoint does.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) endpoint: Endpoint,
    /// What it does, in a few words.
    pub(crate) summary: &'static str,
    /// What else a caller must know.
    pub(crate) details: &'static str,
    pub(crate) params: Vec<Param>,
    pub(crate) body: Option<RequestBody>,
    pub(crate) answers: Vec<Answer>,
    /// What may go wrong beside what may with every request of its kind.
    pub(crate) errors: Vec<ErrorCode>,
}

/// One parameter of the path or the query.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) place: &'static str,
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) schema: MakeSchema,
    /// Bounds that the type does not tell.
    pub(crate) bounds: Value,
}

/// A request's body.
#[derive(Debug)]
pub(crate) struct RequestBody {
    pub(crate) schema: MakeSchema,
    pub(crate) is_required: bool,
    pub(crate) example: Value,
}

/// One answer that is no error.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) what: &'static str,
    pub(crate) content: Content,
}

/// What an answer holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing.
    Empty,
    /// The envelope, around this.
    Data(MakeSchema),
    /// The envelope around a list of these, with paging in `meta`.
    List(MakeSchema),
    /// JSON without the envelope.
    Bare(MakeSchema),
    /// Text of this media type.
    Text(&'static str),
    /// Messages, which the other description tells of.
    Messages,
}

/// Begins a description.
pub(crate) fn operation(endpoint: Endpoint, summary: &'static str) -> Operation {
    let nothing = (Vec::new(), Vec::new(), Vec::new());
    Operation { endpoint, summary, details: "", params: nothing.0, body: None, answers: nothing.1, errors: nothing.2 }
}

impl Operation {
    /// What else a caller must know, in whole sentences.
    pub(crate) fn details(self, details: &'static str) -> Self {
        Self { details, ..self }
    }

    /// A parameter of the path.
    pub(crate) fn path<T: JsonSchema>(self, name: &'static str, what: &'static str, bounds: Value) -> Self {
        self.param::<T>("path", name, what, bounds)
    }

    /// A parameter of the query; none is required.
    pub(crate) fn query<T: JsonSchema>(self, name: &'static str, what: &'static str, bounds: Value) -> Self {
        self.param::<T>("query", name, what, bounds)
    }

    fn param<T: JsonSchema>(
        mut self,
        place: &'static str,
        name: &'static str,
        what: &'static str,
        bounds: Value,
    ) -> Self {
        self.params.push(Param { place, name, what, schema: SchemaGenerator::subschema_for::<T>, bounds });
        self
    }

    /// The parameters of a list, whose cursors look like this.
    pub(crate) fn paged(self, default_limit: u32, cursor: &'static str) -> Self {
        let limit = json!({"minimum": 1, "maximum": 1_000, "default": default_limit});
        self.query::<u32>("limit", "Most rows in the answer.", limit)
            .query::<u64>("offset", "Rows to skip.", json!({"minimum": 0, "maximum": 1_000_000_000}))
            .query::<u32>("page", "Instead of `offset`, counted from 1.", json!({"minimum": 1, "maximum": 1_000_000}))
            .query::<String>(
                "cursor",
                "`next` of the last answer's `meta`, in place of both.",
                json!({"pattern": cursor}),
            )
    }

    /// A body that must be there.
    pub(crate) fn body<T: JsonSchema>(self, example: Value) -> Self {
        let schema = SchemaGenerator::subschema_for::<T>;
        Self { body: Some(RequestBody { schema, is_required: true, example }), ..self }
    }

    /// A body that may be left out.
    pub(crate) fn optional_body<T: JsonSchema>(self, example: Value) -> Self {
        let schema = SchemaGenerator::subschema_for::<T>;
        Self { body: Some(RequestBody { schema, is_required: false, example }), ..self }
    }

    /// An answer in the envelope.
    pub(crate) fn answers<T: JsonSchema>(self, status: u16, what: &'static str) -> Self {
        self.answer(status, what, Content::Data(SchemaGenerator::subschema_for::<T>))
    }

    /// A list in the envelope.
    pub(crate) fn lists<T: JsonSchema>(self, what: &'static str) -> Self {
        self.answer(200, what, Content::List(SchemaGenerator::subschema_for::<T>))
    }

    /// JSON without the envelope.
    pub(crate) fn bare<T: JsonSchema>(self, status: u16, what: &'static str) -> Self {
        self.answer(status, what, Content::Bare(SchemaGenerator::subschema_for::<T>))
    }

    /// Text, or anything else that no schema describes.
    pub(crate) fn text(self, status: u16, media_type: &'static str, what: &'static str) -> Self {
        self.answer(status, what, Content::Text(media_type))
    }

    /// An answer without a body.
    pub(crate) fn empty(self, status: u16, what: &'static str) -> Self {
        self.answer(status, what, Content::Empty)
    }

    /// The connection becomes one of messages.
    pub(crate) fn opens(self, status: u16, what: &'static str) -> Self {
        self.answer(status, what, Content::Messages)
    }

    fn answer(mut self, status: u16, what: &'static str, content: Content) -> Self {
        self.answers.push(Answer { status, what, content });
        self
    }

    /// What may go wrong, beside tokens, limits and what the node itself is short of.
    pub(crate) fn fails(self, errors: &[ErrorCode]) -> Self {
        Self { errors: errors.to_vec(), ..self }
    }

    /// Whether it hands the connection over to messages: that is the other description's to tell.
    pub(crate) fn is_of_messages(&self) -> bool {
        self.answers.iter().any(|answer| matches!(answer.content, Content::Messages))
    }
}
