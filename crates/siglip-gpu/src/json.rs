//! A plan as JSON, written by hand: the serializers that serde derives would be 6 KB of a page's module.

use alloc::string::String;

use crate::place::{Group, Place};
use crate::plan::{Activation, Binding, Buffer, Count, Dispatch, Pipeline, Plan, Program, Rows, TowerPlan};
use crate::words::push_decimal;

impl Plan {
    /// The plan for an executor in another language. Fields have their names here, in camel case; what is `None` is left out. A
    /// [`Buffer`] and a [`Count`] are objects with one field, or a string where they have no number.
    pub fn to_json(&self) -> String {
        document(|json| {
            for (key, tower) in [("image", &self.image), ("text", &self.text)] {
                if let Some(tower) = tower {
                    json.object(key, |json| json.tower(tower));
                }
            }
            json.list("places", &self.places, Json::place);
            json.list("rowLengths", &self.row_lengths, |json, length| json.size("", *length));
            json.text("checksum", &self.checksum);
        })
    }
}

/// What stands in the place of a plan that cannot be made.
pub fn error_json(reason: &str) -> String {
    document(|json| json.text("error", reason))
}

/// An object by itself.
fn document(fields: impl FnOnce(&mut Json)) -> String {
    let mut json = Json(String::new());
    json.object("", fields);
    json.0
}

/// JSON. Elements of lists have no key.
struct Json(String);

impl Json {
    /// Begins a value.
    fn key(&mut self, key: &str) {
        if !matches!(self.0.bytes().last(), None | Some(b'{' | b'[')) {
            self.0.push(',');
        }
        if !key.is_empty() {
            self.quoted(key);
            self.0.push(':');
        }
    }

    /// Adds text, all of which is ASCII here.
    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        for byte in text.bytes() {
            match byte {
                b'\n' => self.0 += "\\n",
                b'"' => self.0 += "\\\"",
                b'\\' => self.0 += "\\\\",
                _ => self.0.push(byte.into()),
            }
        }
        self.0.push('"');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.quoted(text);
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        self.0 += if value { "true" } else { "false" };
    }

    #[inline(never)]
    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        push_decimal(&mut self.0, number);
    }

    #[inline(never)]
    fn size(&mut self, key: &str, size: usize) {
        self.number(key, size as u64);
    }

    #[inline(never)]
    fn begin(&mut self, key: &str, bracket: char) {
        self.key(key);
        self.0.push(bracket);
    }

    fn object(&mut self, key: &str, fields: impl FnOnce(&mut Json)) {
        self.begin(key, '{');
        fields(self);
        self.0.push('}');
    }

    fn list<T>(&mut self, key: &str, elements: &[T], write: fn(&mut Json, &T)) {
        self.begin(key, '[');
        for element in elements {
            write(self, element);
        }
        self.0.push(']');
    }

    #[inline(never)]
    fn tower(&mut self, tower: &TowerPlan) {
        self.size("hiddenSize", tower.hidden_size);
        self.size("hiddenStride", tower.hidden_stride);
        self.size("length", tower.length);
        self.size("mostRows", tower.most_rows);
        self.rows("input", tower.input);
        self.bool("hasPositions", tower.has_positions);
        if let Some(embeddings) = tower.embeddings {
            self.rows("embeddings", embeddings);
        }
        self.size("blocks", tower.blocks);
        self.list("weights", &tower.weights, |json, bytes| json.number("", *bytes));
        self.list("activations", &tower.activations, Json::activation);
        self.list("pipelines", &tower.pipelines, Json::pipeline);
        self.list("programs", &tower.programs, Json::program);
    }

    #[inline(never)]
    fn rows(&mut self, key: &str, Rows { size, stride, activation }: Rows) {
        self.object(key, |json| {
            json.size("size", size);
            json.size("stride", stride);
            json.size("activation", activation);
        });
    }

    fn activation(&mut self, &Activation { label, floats_per_row }: &Activation) {
        self.object("", |json| {
            json.text("label", label);
            json.size("floatsPerRow", floats_per_row);
        });
    }

    fn pipeline(&mut self, Pipeline { label, wgsl }: &Pipeline) {
        self.object("", |json| {
            json.text("label", label);
            json.text("wgsl", wgsl);
        });
    }

    fn program(&mut self, program: &Program) {
        self.object("", |json| {
            if let Some(most_rows) = program.most_rows {
                json.size("mostRows", most_rows);
            }
            json.size("firstBlock", program.first_block);
            json.size("lastBlock", program.last_block);
            json.list("dispatches", &program.dispatches, Json::dispatch);
        });
    }

    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.object("", |json| {
            json.size("pipeline", dispatch.pipeline);
            json.list("bindings", &dispatch.bindings, Json::binding);
            json.list("workgroups", &dispatch.workgroups, Json::count);
        });
    }

    fn binding(&mut self, &Binding { binding, buffer, offset, size }: &Binding) {
        self.object("", |json| {
            json.number("binding", binding.into());
            match buffer {
                Buffer::Weights(block) => json.object("buffer", |json| json.size("weights", block)),
                Buffer::Activation(index) => json.object("buffer", |json| json.size("activation", index)),
                Buffer::Positions => json.text("buffer", "positions"),
            }
            json.number("offset", offset);
            if let Some(size) = size {
                json.number("size", size);
            }
        });
    }

    fn count(&mut self, count: &Count) {
        let (key, number) = match *count {
            Count::Fixed(workgroups) => ("fixed", workgroups),
            Count::Rows(rows) => ("rows", rows),
            Count::Length(rows) => ("length", rows),
            Count::Sequences => return self.text("", "sequences"),
        };
        self.object("", |json| json.size(key, number));
    }

    fn place(&mut self, place: &Place) {
        self.object("", |json| {
            json.size("tensor", place.tensor);
            json.text("tower", place.tower);
            json.size("block", place.block);
            json.size("firstRow", place.first_row);
            json.number("offset", place.offset);
            json.number("stride", place.stride);
            json.size("columns", place.columns);
            json.group("rowGroup", place.row_group);
            json.group("columnGroup", place.column_group);
            if let Some(scales) = place.scales {
                json.number("scales", scales);
            }
        });
    }

    #[inline(never)]
    fn group(&mut self, key: &str, Group { size, stride }: Group) {
        self.object(key, |json| {
            json.size("size", size);
            json.size("stride", stride);
        });
    }
}
