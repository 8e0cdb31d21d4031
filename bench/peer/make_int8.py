"""Makes 8-bit files for native engines of make_onnx.py's: onnx/*_model_qint8.onnx for onnxruntime, whose kernels for x86 take signed
weights of the full range, and openvino/*_int8.xml for OpenVINO, by NNCF's quantisation after training.
Usage: make_int8.py MODEL_DIR. Needs: pip install onnx onnxruntime sympy openvino nncf"""
import json, os, sys
import nncf, openvino as ov
from onnxruntime.quantization import QuantType, quantize_dynamic

from calibration import pictures, texts

D, TEXTS = sys.argv[1].rstrip('/'), 8; cfg = json.load(open(D + '/config.json')); V, T = cfg['vision_config'], cfg['text_config']
inputs = pictures(V.get('image_size', 224)), texts(TEXTS, T.get('max_position_embeddings', 64), T.get('vocab_size', 32000))
os.makedirs(D + '/openvino', exist_ok=True)
for tower, name, data in (('vision', 'pixel_values', inputs[0]), ('text', 'input_ids', inputs[1])):
    path = f'{D}/onnx/{tower}_model.onnx'
    quantize_dynamic(path, path.replace('.onnx', '_qint8.onnx'), per_channel=True, weight_type=QuantType.QInt8, extra_options=dict(MatMulConstBOnly=True))
    model = ov.Core().read_model(path); model.reshape(data[0].shape)
    model = nncf.quantize(model, nncf.Dataset(data, lambda x: {name: x}), model_type=nncf.ModelType.TRANSFORMER, preset=nncf.QuantizationPreset.MIXED, subset_size=len(data))
    ov.save_model(model, f'{D}/openvino/{tower}_int8.xml', compress_to_fp16=False)
