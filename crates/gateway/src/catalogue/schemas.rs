//! Schemas of types, as the descriptions want them.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Where named schemas lie in both descriptions.
pub(super) const PLACE: &str = "#/components/schemas/";

/// Makes schemas of what is written to callers.
pub(super) fn of_answers() -> SchemaGenerator {
    settings().for_serialize().into_generator()
}

/// Makes schemas of what callers send.
pub(super) fn of_bodies() -> SchemaGenerator {
    settings().for_deserialize().into_generator()
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into())
}

/// A schema as JSON.
pub(super) fn value(schema: Schema, of: &SchemaGenerator) -> Value {
    tidied(schema.to_value(), is_written(of))
}

/// What is written leaves empty fields out; of what is read, `null` is the same as nothing.
fn is_written(of: &SchemaGenerator) -> bool {
    of.contract().is_serialize()
}

/// The named schemas that were made on the way.
pub(super) fn definitions(mut generator: SchemaGenerator) -> Map<String, Value> {
    let is_written = is_written(&generator);
    let definitions = generator.take_definitions(true).into_iter();
    definitions.map(|(name, schema)| (name, tidied(schema, is_written))).collect()
}

/// Puts named schemas together.
///
/// # Panics
/// When one name stands for two.
pub(super) fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, schema) in from {
        if let Some(known) = into.get(&name) {
            assert_eq!(known, &schema, "two schemas are called {name}");
        }
        into.insert(name, schema);
    }
}

/// The name behind a reference.
pub(super) fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(PLACE)
}

/// Without what is of no use to a reader: `$schema`, titles, and `null` for fields that are left out instead.
fn tidied(mut schema: Value, is_written: bool) -> Value {
    if let Some(object) = schema.as_object_mut() {
        // A field of that name is a schema, and stays.
        for noise in ["$schema", "title", "default"] {
            if object.get(noise).is_some_and(|value| !value.is_object()) {
                object.remove(noise);
            }
        }
        if is_written {
            without_nulls(object);
        }
        for (name, within) in object.iter_mut() {
            if !matches!(name.as_str(), "enum" | "const" | "examples") {
                *within = tidied(within.take(), is_written);
            }
        }
    } else if let Some(list) = schema.as_array_mut() {
        for within in list {
            *within = tidied(within.take(), is_written);
        }
    }
    schema
}

fn without_nulls(object: &mut Map<String, Value>) {
    let required: Vec<String> = object
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect();
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let optional = properties.iter_mut().filter(|(name, _)| !required.contains(name));
    for (_, property) in optional {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some(kinds) = property.get_mut("type").and_then(Value::as_array_mut) {
            kinds.retain(|kind| kind != "null");
            if let [only] = kinds.as_slice() {
                let only = only.clone();
                property.insert("type".to_owned(), only);
            }
        }
        if let Some(choices) = property.get_mut("anyOf").and_then(Value::as_array_mut) {
            choices.retain(|choice| choice.get("type") != Some(&json!("null")));
            if let [only] = choices.as_slice() {
                let only = only.as_object().cloned().unwrap_or_default();
                property.remove("anyOf");
                property.extend(only);
            }
        }
    }
}
