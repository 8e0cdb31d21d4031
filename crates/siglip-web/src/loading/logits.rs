//! The scale and bias of a model whose files have a tower each, and neither of the two.

use siglip::weights::{Logits, WeightReader};

use super::context::{Context, WEIGHTS};
use crate::body::{self, Body};
use crate::store::Notice;

/// The two come first in a checkpoint that transformers wrote; its header has some ten thousand bytes.
const START: u64 = 1 << 20;

/// Those of a known model, or those in a `model.safetensors` of which only the start is fetched.
pub async fn find(context: &Context<'_>) -> Option<Logits> {
    if let Some(known) = Logits::known(&context.manifest.model) {
        return Some(known);
    }
    let beside = [Some(context.url(WEIGHTS)), context.options.onnx.original.clone()];
    for url in beside.into_iter().flatten() {
        if let Some(logits) = fetch(context, &url).await {
            return Some(logits);
        }
    }
    None
}

async fn fetch(context: &Context<'_>, url: &str) -> Option<Logits> {
    let range = format!("bytes=0-{}", START - 1);
    let response = context.client.send("GET", url, &[("range", &range)]).await.ok()?;
    if !response.head.ok() {
        return None;
    }
    // A server may send the whole file: what is not needed of it is not read.
    let mut body = Body::of_response(&response.head, Some(response.controller))?;
    let (mut reader, mut logits, mut read) = (WeightReader::new(), Logits::default(), 0);
    while !logits.is_done() && read < START {
        let chunk = body.next_within(context.client.timeouts.stall).await.ok()??;
        let mut bytes = Vec::new();
        body::append(&mut bytes, &chunk);
        read += bytes.len() as u64;
        reader.push(&bytes, &mut logits).ok()?;
    }
    logits.is_complete().then_some(logits)
}

/// Tells that there are none.
pub fn missing() -> Notice {
    let message = "the model's files have no logit_scale and no logit_bias: it embeds images and texts, but gives no scores. \
                   Load the file with both towers, or one with model.safetensors beside";
    Notice { code: "logits", message: message.into() }
}
