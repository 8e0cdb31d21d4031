//! A plan as JSON. Written by hand: the serializers that serde derives would be 6 KB of a page's engine.

use crate::place::{Group, Place};
use crate::plan::{Activation, Binding, Buffer, Count, Dispatch, Pipeline, Plan, TowerPlan};

impl Plan {
    /// The plan for an executor in another language. Fields have their names here, in camel case; what is `None` is left out. A
    /// [`Buffer`] and a [`Count`] are objects with one field, [`Count::Sequences`] is a string.
    pub fn to_json(&self) -> String {
        let mut json = Json(String::new());
        json.object("", |json| {
            for (name, tower) in [("image", &self.image), ("text", &self.text)] {
                if let Some(tower) = tower {
                    json.object(name, |json| json.tower(tower));
                }
            }
            json.list("places", &self.places, |json, place| json.object("", |json| json.place(place)));
            json.list("rowLengths", &self.row_lengths, |json, length| json.number("", *length as u64));
            json.string("checksum", &self.checksum);
        });
        json.0
    }
}

/// JSON so far. An empty key is that of a list's element.
struct Json(String);

impl Json {
    fn tower(&mut self, tower: &TowerPlan) {
        self.number("hiddenSize", tower.hidden_size as u64);
        self.number("hiddenStride", tower.hidden_stride as u64);
        self.number("length", tower.length as u64);
        self.number("firstBlock", tower.first_block as u64);
        self.list("weights", &tower.weights, |json, bytes| json.number("", *bytes));
        self.list("activations", &tower.activations, |json, Activation { label, floats_per_row }| {
            json.object("", |json| {
                json.string("label", label);
                json.number("floatsPerRow", *floats_per_row as u64);
            });
        });
        self.list("pipelines", &tower.pipelines, |json, Pipeline { label, wgsl }| {
            json.object("", |json| {
                json.string("label", label);
                json.string("wgsl", wgsl);
            });
        });
        self.list("dispatches", &tower.dispatches, |json, dispatch| {
            json.object("", |json| json.dispatch(dispatch));
        });
    }

    fn dispatch(&mut self, Dispatch { pipeline, bindings, workgroups }: &Dispatch) {
        self.number("pipeline", *pipeline as u64);
        self.list("bindings", bindings, |json, Binding { binding, buffer, offset, size }| {
            json.object("", |json| {
                json.number("binding", u64::from(*binding));
                let (kind, index) = match buffer {
                    Buffer::Weights(block) => ("weights", block),
                    Buffer::Activation(index) => ("activation", index),
                };
                json.object("buffer", |json| json.number(kind, *index as u64));
                json.number("offset", *offset);
                json.optional("size", *size);
            });
        });
        self.list("workgroups", workgroups, |json, count| {
            let (kind, number) = match count {
                Count::Fixed(number) => ("fixed", number),
                Count::Rows(number) => ("rows", number),
                Count::Length(number) => ("length", number),
                Count::Sequences => return json.string("", "sequences"),
            };
            json.object("", |json| json.number(kind, *number as u64));
        });
    }

    fn place(&mut self, place: &Place) {
        self.number("tensor", place.tensor as u64);
        self.string("tower", place.tower);
        self.number("block", place.block as u64);
        self.number("offset", place.offset);
        self.number("stride", place.stride);
        self.number("columns", place.columns as u64);
        for (name, Group { size, stride }) in
            [("rowGroup", place.row_group), ("columnGroup", place.column_group)]
        {
            self.object(name, |json| {
                json.number("size", size as u64);
                json.number("stride", stride as u64);
            });
        }
        self.optional("scales", place.scales);
    }

    /// Separates a value from the one before, and writes its key.
    fn begin(&mut self, key: &str) {
        if !matches!(self.0.as_bytes().last(), None | Some(b'{' | b'[')) {
            self.0.push(',');
        }
        if !key.is_empty() {
            self.quote(key);
            self.0.push(':');
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.begin(key);
        self.0 += &value.to_string();
    }

    fn optional(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    fn string(&mut self, key: &str, value: &str) {
        self.begin(key);
        self.quote(value);
    }

    fn quote(&mut self, value: &str) {
        self.0.push('"');
        for character in value.chars() {
            match character {
                '\n' => self.0 += "\\n",
                '"' | '\\' => self.0.extend(['\\', character]),
                _ => self.0.push(character),
            }
        }
        self.0.push('"');
    }

    fn object(&mut self, key: &str, fields: impl FnOnce(&mut Json)) {
        self.begin(key);
        self.0.push('{');
        fields(self);
        self.0.push('}');
    }

    fn list<T>(&mut self, key: &str, elements: &[T], mut element: impl FnMut(&mut Json, &T)) {
        self.begin(key);
        self.0.push('[');
        for each in elements {
            element(self, each);
        }
        self.0.push(']');
    }
}
