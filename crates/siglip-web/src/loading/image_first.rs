//! Loads a model's image tower by itself, so that images can be embedded before the text tower is there.
//!
//! Each tower is then cached as a model of its own, whose download can be resumed. Together the two are as good as a model
//! that was cached with both.

use siglip::Towers;

use super::context::Context;
use super::{LaterText, Loaded, fetch, load_log};
use crate::error::Error;
use crate::options::Options;
use crate::store::{KnownLabels, Manifest};

/// The manifest of one tower of a model that is cached by towers.
pub fn tower(manifest: &Manifest, tower: Towers) -> Manifest {
    Manifest { towers: tower.name().into(), ..manifest.clone() }
}

/// The image tower of a model whose towers are both in the cache, each by itself.
pub async fn load_cached(context: &Context<'_>) -> Result<Option<Loaded>, Error> {
    let Context { manifest, store, .. } = context;
    if !store.has(&tower(manifest, Towers::Text)).await {
        return Ok(None);
    }
    load_cached_image(context).await
}

/// The image tower, from the cache or the server. `None` if the server sends both towers in one file and no parts of it: then
/// they are best downloaded together.
pub async fn load(context: &Context<'_>) -> Result<Option<Loaded>, Error> {
    if context.store.find_partial(&context.manifest).await.is_some() {
        // An earlier visit has begun to download both together.
        return Ok(None);
    }
    if let Some(loaded) = load_cached_image(context).await? {
        return Ok(Some(loaded));
    }
    let (options, text) = (image_options(context.options), tower(&context.manifest, Towers::Text));
    // A text tower in the cache may be of an older version of the model.
    context.store.remove(&text).await;
    match fetch(&of_image(context, &options)).await {
        Ok(loaded) => Ok(Some(expecting_text(context, loaded).await)),
        Err(Error::Whole { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn load_cached_image(context: &Context<'_>) -> Result<Option<Loaded>, Error> {
    let options = image_options(context.options);
    let image = of_image(context, &options);
    let Some((log, length)) = image.store.find(&image.manifest).await else { return Ok(None) };
    let loaded = load_log(&image, log, length, &image.manifest, Towers::Image).await?;
    match loaded {
        Some(loaded) => Ok(Some(expecting_text(context, loaded).await)),
        None => Ok(None),
    }
}

/// A model that waits for its text tower, unless it is one that reads no texts.
async fn expecting_text(context: &Context<'_>, mut loaded: Loaded) -> Loaded {
    if loaded.siglip.engine().config().classifier.is_some() || !loaded.siglip.label_sets().is_empty() {
        return loaded;
    }
    let Context { manifest, store, .. } = context;
    let text = tower(manifest, Towers::Text);
    loaded.siglip.expect_text();
    loaded.text = if store.has(&text).await { LaterText::Cached } else { LaterText::OnServer };
    // Labels belong to the text tower that has embedded them.
    loaded.labels = store.contents(&text).await.map(|contents| KnownLabels::new(store, &text, contents.id));
    if let Some(labels) = &mut loaded.labels {
        labels.read().await.into_iter().for_each(|known| loaded.siglip.add_known_label(known));
    }
    loaded
}

fn image_options(options: &Options) -> Options {
    let mut options = options.clone();
    options.towers = Towers::Image;
    options
}

fn of_image<'c>(context: &'c Context<'_>, options: &'c Options) -> Context<'c> {
    let Context { client, manifest, store, callbacks, .. } = context;
    Context {
        client: client.clone(),
        manifest: tower(manifest, Towers::Image),
        store: store.clone(),
        options,
        callbacks,
    }
}
