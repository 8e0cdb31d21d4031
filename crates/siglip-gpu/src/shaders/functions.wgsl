?quantized fn levels(word: u32) -> vec4<f32> { return vec4<f32>(vec4<i32>(vec4<u32>(word << 24, word << 16, word << 8, word)) >> vec4<u32>(24)); }
?gelu_tanh fn gelu(v: vec4<f32>) -> vec4<f32> { let u = 1.5957691216 * (v + 0.044715 * v * v * v); return v / (1 + exp(-clamp(u, vec4<f32>(-80), vec4<f32>(80)))); }
?gelu_erf fn gelu(v: vec4<f32>) -> vec4<f32> {
?gelu_erf   let z = min(abs(v) * 0.70710678, vec4<f32>(9));
?gelu_erf   let t = 1 / (1 + 0.3275911 * z);
?gelu_erf   let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
?gelu_erf   return 0.5 * v * (1 + sign(v) * (1 - p * exp(-z * z)));
?gelu_erf }
