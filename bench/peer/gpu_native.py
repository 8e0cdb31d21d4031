"""Times a picture on a GPU without a browser: this engine and onnxruntime's WebGPU in turn, A B A B, from ready pixel values to the
embedding in the CPU's memory, each with its cosine to f32 on the CPU. Usage: gpu_native.py MODEL_DIR PICTURE [RUNS]
PICTURE is the program of crates/siglip-gpu/examples/picture.rs; MODEL_DIR has the files of `PICTURE MODEL_DIR --write` and of
`make_onnx.py MODEL_DIR --gpu --image`. Needs: pip install numpy onnxruntime onnxruntime-ep-webgpu. Prints JSON."""
import json, os, subprocess, sys, time
# Where onnxruntime sees no GPU, as in containers without /sys/class/drm, the plugin still finds it by Vulkan.
os.environ.setdefault('ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER', '1')
import numpy as np, onnxruntime as ort

D, PICTURE, RUNS, WARM, ROUNDS = sys.argv[1], sys.argv[2], int((sys.argv + [20])[3]), 5, 2
ours = subprocess.Popen([PICTURE, D, '--runs', str(RUNS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

def picture(seed, side):
    """As picture.rs makes them: Numerical Recipes' generator, in closed form."""
    n = 3 * side * side; out = np.empty(n, np.uint64); state = seed
    for i in range(n):
        state = (state * 1664525 + 1013904223) & 0xffffffff; out[i] = state
    return ((out >> 8).astype(np.float32) / np.float32(1 << 23) - np.float32(1)).reshape(1, 3, side, side)

side = json.load(open(D + '/config.json'))['vision_config']['image_size']
pictures = np.concatenate([picture(seed, side) for seed in range(8)])
run = lambda s, x: s.run(['pooler_output'], {'pixel_values': x})[0]
expected = run(ort.InferenceSession(D + '/onnx/vision_model.onnx', providers=['CPUExecutionProvider']), pictures)
cosine = lambda a, b: min(float(x @ y / np.sqrt((x @ x) * (y @ y))) for x, y in zip(a.astype(np.float64), b.astype(np.float64)))
ms = lambda since: round((time.perf_counter() - since) * 1e3, 2)
def quantiles(times):
    times = sorted(times); return [round(times[int(q * len(times))], 2) for q in (.5, .1, .9)]

sessions, failures = {}, {}
try:
    import onnxruntime_ep_webgpu as ep
    ort.register_execution_provider_library('webgpu', ep.get_library_path())
    devices = [d for d in ort.get_ep_devices() if d.ep_name == ep.get_ep_name()]
except Exception as error: devices, failures['plugin'] = [], str(error)
for name, path in [(f'{t}, {k}', f'{D}/{f}/vision_model{h}.onnx') for f, k in (('onnx', 'as exported'), ('fused', 'fused')) for t, h in (('fp32', ''), ('fp16', '_fp16'))]:
    if not devices or not os.path.exists(path): continue
    try:
        since = time.perf_counter(); options = ort.SessionOptions(); options.add_provider_for_devices(devices[:1], {})
        session = ort.InferenceSession(path, options); first = time.perf_counter()
        run(session, pictures[:1]); sessions[name] = session, dict(name='onnxruntime WebGPU ' + name, load_ms=ms(since), first1_ms=ms(first))
    except Exception as error: failures[name] = str(error)[-300:]

ready = json.loads(ours.stdout.readline() or '{}'); rounds = []
for _ in range(ROUNDS):
    results = []
    try:
        ours.stdin.write('\n'); ours.stdin.flush(); results += json.loads(ours.stdout.readline())['results']
    except Exception as error: failures['siglip-gpu'] = repr(error)
    for name, (session, result) in sessions.items():
        result = dict(result)
        for count in (1, 8):
            x, times = np.ascontiguousarray(pictures[:count]), []
            for i in range(WARM + RUNS):
                since = time.perf_counter(); y = run(session, x); times.append((time.perf_counter() - since) * 1e3)
            result[f'image{count}_ms'], result[f'cosine{count}'] = quantiles(times[WARM:]), round(cosine(y, expected[:count]), 9)
        results.append(result)
    rounds.append(results)
ours.stdin.close(); ours.wait(10)
print(json.dumps({**ready, 'onnxruntime': ort.__version__, 'rounds': rounds, 'failures': failures}, indent=1))
