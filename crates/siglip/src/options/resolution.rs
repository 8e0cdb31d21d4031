/// At which resolution the image tower sees images. The default is the checkpoint's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resolution {
    /// Of a model of fixed resolution: the side of the square images, in pixels. The position embeddings are interpolated to
    /// their patches, as by transformers' `interpolate_pos_encoding`.
    pub image_size: Option<usize>,
    /// Of NaFlex: the most patches of an image, transformers' `max_num_patches`.
    pub max_patches: Option<usize>,
}
