//! What both towers' configurations say of their blocks.

use std::ops::RangeInclusive;

use siglip_kernels::Gelu;

use crate::Error;

/// The activation of every checkpoint of Google's: GELU in its tanh approximation.
pub(super) const GELU_TANH: &str = "gelu_pytorch_tanh";
/// The activation of models that open_clip trained.
pub(super) const GELU_ERF: &str = "gelu";

/// The configuration of a tower's blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BlockConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub layer_norm_eps: f32,
    /// The MLP's activation.
    pub gelu: Gelu,
}

impl BlockConfig {
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

/// The blocks of a tower's configuration. Both configurations have fields of these names.
macro_rules! blocks_of {
    ($config:expr) => {
        $crate::config::blocks::BlockConfig {
            hidden_size: $config.hidden_size,
            intermediate_size: $config.intermediate_size,
            num_hidden_layers: $config.num_hidden_layers,
            num_attention_heads: $config.num_attention_heads,
            layer_norm_eps: $config.layer_norm_eps,
            // `Config::check` refuses any other activation.
            gelu: $crate::config::blocks::gelu(&$config.hidden_act).unwrap_or(siglip_kernels::Gelu::Tanh),
        }
    };
}
pub(super) use blocks_of;

/// Checks the blocks of the tower whose configuration has this name.
pub(super) fn check_blocks(tower: &str, blocks: &BlockConfig, hidden_act: &str) -> Result<(), Error> {
    in_range(&format!("{tower}.hidden_size"), blocks.hidden_size, 1..=8192)?;
    in_range(&format!("{tower}.intermediate_size"), blocks.intermediate_size, 1..=32768)?;
    in_range(&format!("{tower}.num_hidden_layers"), blocks.num_hidden_layers, 1..=128)?;
    in_range(&format!("{tower}.num_attention_heads"), blocks.num_attention_heads, 1..=blocks.hidden_size)?;
    if !blocks.hidden_size.is_multiple_of(blocks.num_attention_heads) {
        let reason =
            format!("{} does not divide hidden_size {}", blocks.num_attention_heads, blocks.hidden_size);
        return Err(Error::unsupported(format!("{tower}.num_attention_heads"), reason));
    }
    if !(blocks.layer_norm_eps > 0.0 && blocks.layer_norm_eps < 1.0) {
        let reason = format!("{} is not between 0 and 1", blocks.layer_norm_eps);
        return Err(Error::unsupported(format!("{tower}.layer_norm_eps"), reason));
    }
    if gelu(hidden_act).is_none() {
        let reason = format!("{hidden_act:?} is not supported; {GELU_TANH:?} and {GELU_ERF:?} are");
        return Err(Error::unsupported(format!("{tower}.hidden_act"), reason));
    }
    Ok(())
}

/// The activation of a `hidden_act`; `None` for any other than the two that SigLIPs have.
pub(super) fn gelu(hidden_act: &str) -> Option<Gelu> {
    match hidden_act {
        GELU_TANH => Some(Gelu::Tanh),
        GELU_ERF => Some(Gelu::Erf),
        _ => None,
    }
}

/// Refuses a value outside of a range, and names its field.
pub(super) fn in_range(field: &str, value: usize, range: RangeInclusive<usize>) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::unsupported(field, format!("{value} is not in {}..={}", range.start(), range.end())))
}
