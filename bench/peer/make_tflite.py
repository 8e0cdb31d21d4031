"""Turns a SigLIP checkpoint in hub layout into tflite/{vision,text}_{f32,int8,static}.tflite by TensorFlow's converter: f32; fully
connected layers in 8 bits, with activations quantised as they come; and with fixed ranges of activations, of the image tower alone.
A picture or eight texts at a time. Usage: make_tflite.py MODEL_DIR. Needs: pip install tensorflow-cpu ai-edge-quantizer safetensors"""
import json, os, sys, tempfile
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import qtyping, quantizer, recipe_manager
from safetensors import safe_open

from calibration import pictures

D, TEXTS = sys.argv[1].rstrip('/'), 8; get = safe_open(D + '/model.safetensors', 'np').get_tensor; cfg = json.load(open(D + '/config.json'))
T = {**dict(hidden_size=768, num_attention_heads=12, num_hidden_layers=12, max_position_embeddings=64), **cfg['text_config']}
V = {**dict(hidden_size=768, num_attention_heads=12, num_hidden_layers=12, patch_size=16, image_size=224), **cfg['vision_config']}
SIDE, P = V['image_size'], V['patch_size']

# Activations have two dimensions, [rows, width]: a product is a fully connected layer then.
def linear(x, w, b): return tf.matmul(x, tf.constant(w.T)) + tf.constant(b)
def lin(x, p): return linear(x, get(p + '.weight'), get(p + '.bias'))
def norm(x, p):
    mean = tf.reduce_mean(x, -1, keepdims=True); variance = tf.reduce_mean(tf.math.squared_difference(x, mean), -1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-6) * get(p + '.weight') + get(p + '.bias')
def mlp(x, p): return lin(tf.nn.gelu(lin(x, p + '.fc1'), approximate=True), p + '.fc2')
def attend(q, k, v, H, batch):
    d = q.shape[1] // H
    q, k, v = (tf.transpose(tf.reshape(x, [batch, -1, H, d]), [0, 2, 1, 3]) for x in (q * d ** -.5, k, v))
    x = tf.matmul(tf.nn.softmax(tf.matmul(q, k, transpose_b=True)), v)
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, H * d])
def encoder(x, c, p, last, batch):
    for l in range(c['num_hidden_layers']):
        q = f'{p}.encoder.layers.{l}'; n = norm(x, q + '.layer_norm1')
        x += lin(attend(*(lin(n, f'{q}.self_attn.{k}_proj') for k in 'qkv'), c['num_attention_heads'], batch), q + '.self_attn.out_proj')
        x += mlp(norm(x, q + '.layer_norm2'), q + '.mlp')
    return norm(x, p + last)

def vision(x):
    p = 'vision_model'; d = V['hidden_size']
    kernel = get(p + '.embeddings.patch_embedding.weight').transpose(2, 3, 1, 0)
    x = tf.nn.conv2d(tf.transpose(x, [0, 2, 3, 1]), kernel, P, 'VALID') + get(p + '.embeddings.patch_embedding.bias')
    last = encoder(tf.reshape(x, [-1, d]) + get(p + '.embeddings.position_embedding.weight'), V, p, '.post_layernorm', 1)
    wi, bi = (get(f'{p}.head.attention.in_proj_{k}') for k in ('weight', 'bias'))
    probe = tf.constant(get(p + '.head.probe').reshape(1, d))
    y = attend(*(linear(z, wi[k * d:(k + 1) * d], bi[k * d:(k + 1) * d]) for k, z in enumerate((probe, last, last))), V['num_attention_heads'], 1)
    y = lin(y, p + '.head.attention.out_proj')
    return y + mlp(norm(y, p + '.head.layernorm'), p + '.head.mlp')

def text(ids):
    p = 'text_model'; n, d = T['max_position_embeddings'], T['hidden_size']
    x = tf.gather(get(p + '.embeddings.token_embedding.weight'), ids) + get(p + '.embeddings.position_embedding.weight')[:n]
    last = encoder(tf.reshape(x, [-1, d]), T, p, '.final_layer_norm', TEXTS)
    return lin(tf.reshape(last, [TEXTS, n, d])[:, -1], p + '.head')

def convert(tower, spec):
    """Through a saved model, because the quantizer calibrates by a signature."""
    module = tf.Module(); module.tower = tf.function(tower, input_signature=[spec])
    path = f'{D}/tflite/{tower.__name__}_f32.tflite'
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(module, saved, module.tower.get_concrete_function())
        model = tf.lite.TFLiteConverter.from_saved_model(saved).convert()
    with open(path, 'wb') as file: file.write(model)
    return path

def quantize(path, kind, inputs=None):
    recipe, q = recipe_manager.RecipeManager(), quantizer.Quantizer(path); O = qtyping.TFLOperationName
    if inputs is None:
        for operation in (O.FULLY_CONNECTED, O.CONV_2D): recipe.add_dynamic_config(regex='.*', operation_name=operation, num_bits=8)
    else: recipe.add_static_config(regex='.*', operation_name=O.FULLY_CONNECTED, activation_num_bits=8, weight_num_bits=8)
    q.load_quantization_recipe(recipe.get_quantization_recipe()); ranges = None
    if inputs is not None:
        (signature, names), = Interpreter(model_path=path).get_signature_list().items()
        ranges = q.calibrate({signature: [{names['inputs'][0]: x} for x in inputs]})
    q.quantize(ranges).export_model(path.replace('f32', kind), overwrite=True)

if __name__ == '__main__':
    os.makedirs(D + '/tflite', exist_ok=True)
    image, labels = convert(vision, tf.TensorSpec([1, 3, SIDE, SIDE], tf.float32)), convert(text, tf.TensorSpec([TEXTS, T['max_position_embeddings']], tf.int32))
    quantize(labels, 'int8'); quantize(image, 'int8')
    quantize(image, 'static', pictures(SIDE))
