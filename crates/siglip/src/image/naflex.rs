/// Where the search for a scale stops, and where it starts: the reference's.
const PRECISION: f64 = 1e-5;
const LARGEST: f64 = 100.0;

/// The sides, whole patches each, that show a picture in its aspect with as many of `max_num_patches` as possible;
/// transformers' `get_image_size_for_max_num_patches`, step by step.
pub(super) fn sides(width: u32, height: u32, patch_size: u32, max_num_patches: u32) -> (u32, u32) {
    let patches = |side: u32, scale: f64| {
        let patches = (f64::from(side) * scale / f64::from(patch_size)).ceil();
        patches.max(1.0)
    };
    let (mut least, mut most) = (PRECISION / 10.0, LARGEST);
    while most - least >= PRECISION {
        let scale = (least + most) / 2.0;
        if patches(height, scale) * patches(width, scale) <= f64::from(max_num_patches) {
            least = scale;
        } else {
            most = scale;
        }
    }
    let side = |side: u32| patches(side, least) as u32 * patch_size;
    (side(width), side(height))
}
