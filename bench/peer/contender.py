"""A contender of `cargo xtask bench --native`, as crates/siglip/examples/contender.rs is one: first a line of JSON with the embeddings, then
for each line of standard input, `image` or `text`, the milliseconds of one pass.
Usage: contender.py ENGINE THREADS MODEL_DIR PIXEL_VALUES INPUT_IDS
ENGINE: onnxruntime, openvino or litert with -f32 or -int8, openvino-bf16, litert-static"""
import json, os, sys, time
os.environ.setdefault('OMP_NUM_THREADS', sys.argv[2])
import numpy as np

(engine, kind), threads, D = sys.argv[1].split('-'), int(sys.argv[2]), sys.argv[3].rstrip('/')
cfg = json.load(open(D + '/config.json')); side, length = cfg['vision_config'].get('image_size', 224), cfg['text_config'].get('max_position_embeddings', 64)
pixel_values = np.fromfile(sys.argv[4], np.float32).reshape(1, 3, side, side); input_ids = np.fromfile(sys.argv[5], np.uint32).reshape(-1, length)

def onnxruntime():
    import onnxruntime as ort
    options = ort.SessionOptions(); options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    def tower(name, key, x):
        session = ort.InferenceSession(f"{D}/onnx/{name}_model{dict(f32='', int8='_qint8')[kind]}.onnx", options, providers=['CPUExecutionProvider'])
        return lambda: session.run(['pooler_output'], {key: x})[0]
    return ort.__version__, tower('vision', 'pixel_values', pixel_values), tower('text', 'input_ids', input_ids.astype(np.int64))

def openvino():
    import openvino as ov
    # Left to itself it takes bfloat16 where the processor has it.
    config = dict(INFERENCE_NUM_THREADS=threads, NUM_STREAMS='1', PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT='bf16' if kind == 'bf16' else 'f32')
    def tower(name, x):
        core = ov.Core(); model = core.read_model(f'{D}/openvino/{name}_int8.xml' if kind == 'int8' else f'{D}/onnx/{name}_model.onnx')
        model.reshape(x.shape); compiled = core.compile_model(model, 'CPU', config); request = compiled.create_infer_request()
        pooled = next(output for output in compiled.outputs if len(output.shape) == 2)
        return lambda: request.infer({0: x})[pooled]
    return ov.__version__.split('-')[0], tower('vision', pixel_values), tower('text', input_ids.astype(np.int64))

def litert():
    import importlib.metadata
    from ai_edge_litert.interpreter import Interpreter
    def tower(name, kind, x):
        interpreter = Interpreter(model_path=f'{D}/tflite/{name}_{kind}.tflite', num_threads=threads); interpreter.allocate_tensors()
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
        def run():
            interpreter.set_tensor(given['index'], x); interpreter.invoke(); return interpreter.get_tensor(made['index'])
        return run
    # Texts with fixed ranges are not made.
    return importlib.metadata.version('ai-edge-litert'), tower('vision', kind, pixel_values), tower('text', kind.replace('static', 'int8'), input_ids.astype(np.int32))

version, image, text = dict(onnxruntime=onnxruntime, openvino=openvino, litert=litert)[engine]()
print(json.dumps(dict(version=version, image=image().ravel().tolist(), text=text().ravel().tolist())), flush=True)
for line in sys.stdin:
    start = time.perf_counter(); (image if line.strip() == 'image' else text)(); print(1e3 * (time.perf_counter() - start), flush=True)
