//! A plan as JSON. Written by hand, and through few functions: the serializers that serde derives would be 6 KB of a page's
//! engine.

use crate::place::{Group, Place};
use crate::plan::{Activation, Binding, Buffer, Count, Dispatch, Pipeline, Plan, Program, Rows, TowerPlan};

impl Plan {
    /// The plan for an executor in another language. Fields have their names here, in camel case; what is `None` is left out. A
    /// [`Buffer`] and a [`Count`] are objects with one field, or a string where they have no number.
    pub fn to_json(&self) -> String {
        object(&[
            ("image", self.image.as_ref().map_or(Value::Missing, tower)),
            ("text", self.text.as_ref().map_or(Value::Missing, tower)),
            ("places", list(&self.places, place)),
            ("rowLengths", list(&self.row_lengths, |length| number(*length))),
            ("checksum", Value::Text(&self.checksum)),
        ])
        .into_json()
    }
}

fn tower(tower: &TowerPlan) -> Value<'_> {
    object(&[
        ("hiddenSize", number(tower.hidden_size)),
        ("hiddenStride", number(tower.hidden_stride)),
        ("length", number(tower.length)),
        ("mostRows", number(tower.most_rows)),
        ("input", rows(tower.input)),
        ("hasPositions", Value::Json(tower.has_positions.to_string())),
        ("embeddings", tower.embeddings.map_or(Value::Missing, rows)),
        ("blocks", number(tower.blocks)),
        ("weights", list(&tower.weights, |bytes| Value::Number(*bytes))),
        ("activations", list(&tower.activations, activation)),
        ("pipelines", list(&tower.pipelines, pipeline)),
        ("programs", list(&tower.programs, program)),
    ])
}

fn rows(Rows { size, stride, activation }: Rows) -> Value<'static> {
    object(&[("size", number(size)), ("stride", number(stride)), ("activation", number(activation))])
}

fn program(Program { most_rows, dispatches, first_block, last_block }: &Program) -> Value<'_> {
    object(&[
        ("mostRows", most_rows.map_or(Value::Missing, number)),
        ("firstBlock", number(*first_block)),
        ("lastBlock", number(*last_block)),
        ("dispatches", list(dispatches, dispatch)),
    ])
}

fn activation(&Activation { label, floats_per_row }: &Activation) -> Value<'_> {
    object(&[("label", Value::Text(label)), ("floatsPerRow", number(floats_per_row))])
}

fn pipeline(Pipeline { label, wgsl }: &Pipeline) -> Value<'_> {
    object(&[("label", Value::Text(label)), ("wgsl", Value::Text(wgsl))])
}

fn dispatch(dispatch: &Dispatch) -> Value<'_> {
    object(&[
        ("pipeline", number(dispatch.pipeline)),
        ("bindings", list(&dispatch.bindings, binding)),
        ("workgroups", list(&dispatch.workgroups, count)),
    ])
}

fn binding(&Binding { binding, buffer, offset, size }: &Binding) -> Value<'_> {
    let buffer = match buffer {
        Buffer::Weights(block) => object(&[("weights", number(block))]),
        Buffer::Activation(index) => object(&[("activation", number(index))]),
        Buffer::Positions => Value::Text("positions"),
    };
    object(&[
        ("binding", Value::Number(binding.into())),
        ("buffer", buffer),
        ("offset", Value::Number(offset)),
        ("size", size.map_or(Value::Missing, Value::Number)),
    ])
}

fn count(count: &Count) -> Value<'_> {
    object(&[match *count {
        Count::Fixed(workgroups) => ("fixed", number(workgroups)),
        Count::Rows(rows) => ("rows", number(rows)),
        Count::Length(rows) => ("length", number(rows)),
        Count::Sequences => return Value::Text("sequences"),
    }])
}

fn place(place: &Place) -> Value<'_> {
    object(&[
        ("tensor", number(place.tensor)),
        ("tower", Value::Text(place.tower)),
        ("block", number(place.block)),
        ("firstRow", number(place.first_row)),
        ("offset", Value::Number(place.offset)),
        ("stride", Value::Number(place.stride)),
        ("columns", number(place.columns)),
        ("rowGroup", group(place.row_group)),
        ("columnGroup", group(place.column_group)),
        ("scales", place.scales.map_or(Value::Missing, Value::Number)),
    ])
}

fn group(Group { size, stride }: Group) -> Value<'static> {
    object(&[("size", number(size)), ("stride", number(stride))])
}

/// A value of JSON.
enum Value<'v> {
    /// Left out, with its key.
    Missing,
    Number(u64),
    Text(&'v str),
    /// An object or a list.
    Json(String),
}

impl Value<'_> {
    fn write(&self, json: &mut String) {
        match self {
            Value::Missing => {}
            Value::Number(number) => *json += &number.to_string(),
            Value::Text(text) => {
                json.push('"');
                for character in text.chars() {
                    match character {
                        '\n' => *json += "\\n",
                        '"' | '\\' => json.extend(['\\', character]),
                        _ => json.push(character),
                    }
                }
                json.push('"');
            }
            Value::Json(value) => *json += value,
        }
    }

    fn into_json(self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }
}

fn number(number: usize) -> Value<'static> {
    Value::Number(number as u64)
}

fn object<'v>(fields: &[(&str, Value<'_>)]) -> Value<'v> {
    let mut json = String::from("{");
    for (key, value) in fields {
        if matches!(value, Value::Missing) {
            continue;
        }
        if json.len() > 1 {
            json.push(',');
        }
        Value::Text(key).write(&mut json);
        json.push(':');
        value.write(&mut json);
    }
    json.push('}');
    Value::Json(json)
}

fn list<'v, T>(elements: &[T], value_of: fn(&T) -> Value<'_>) -> Value<'v> {
    list_of(&mut elements.iter().map(value_of))
}

fn list_of<'v>(values: &mut dyn Iterator<Item = Value<'_>>) -> Value<'v> {
    let mut json = String::from("[");
    for value in values {
        if json.len() > 1 {
            json.push(',');
        }
        value.write(&mut json);
    }
    json.push(']');
    Value::Json(json)
}
