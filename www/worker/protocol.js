/**
 * Every message between a page, its worker and the workers that help that one. Both ends of each are checked against
 * these types; `type` tells the messages of a union apart.
 *
 *     page      ToWorker >     < FromWorker       worker      a call and its answer
 *     worker    ToFollower >   < FromFollower     follower    weights of a sharded model, then its passes
 *     any of these workers     < PeerMessage >    any other   partial sums, through a MessagePort
 *     worker    ToThread >     < FromThread       thread      a member of the thread pool, on isolated pages
 *
 * All workers run worker.js. The first message decides what a worker is.
 */

/** @typedef {import('../lib/errors.js').ErrorCode} ErrorCode */
/** Where a model's blocks are to run; "candle" is another engine. @typedef {'auto' | 'gpu' | 'cpu' | 'candle'} Device */
/** How the model stores and multiplies matrices. @typedef {'q8' | 'q8-exact' | 'f32'} Precision */

/** Pixels in rows from the top. @typedef {{width: number, height: number, rgba: Uint8ClampedArray}} Pixels */
/** An encoded image for the decoders of rare formats, and whether the page wants to see it. @typedef {{blob: Blob, isRare: true, withPreview: boolean}} RareImage */
/** An image as the model takes it: values of shape [3, height, width]. @typedef {{values: Float32Array, height: number}} PixelValues */
/** An image as the worker takes it: an encoded file, of a rare format or not, pixels, or what is made of them. @typedef {{blob: Blob} | RareImage | Pixels | PixelValues} ImageMessage */
/** What a pass through a tower begins with. @typedef {{pixels: PixelValues & Vectors} | {inputIds: Uint32Array, normalize?: boolean}} PassInput */
/** Labels, or those at hand; `labelSet` names a set of these. @typedef {{labels?: string[], labelSet?: string, template: string[]}} Prompts */
/** Which scores are wanted, and a person's own scale and bias. @typedef {{topK?: number, threshold?: number, scale?: number, bias?: number, relative?: boolean}} Ranking */
/** Which vector of an image is wanted, if not the one that is scored. @typedef {{pooling?: 'head' | 'mean' | 'patches' | 'windows', normalize?: boolean}} Vectors */
/** A vector of each patch of an image, from the top left in rows: [rows, columns, size]. @typedef {{rows: number, columns: number, size: number, vectors: Float32Array}} Patches */
/** What each patch of an image says for a label, in units of the logit, from the top left in rows: [height, width]. @typedef {{width: number, height: number, values: Float32Array}} Explanation */
/** Labels whose embeddings are at hand: those of a bundle, or imported ones. @typedef {{name: string, labels: string[]}} LabelSet */
/**
 * What an image scores for a label. `unknown` lists the words of the label that the model cannot read; the score is
 * then what the model expects of any label, and says nothing about the image. `score` is a probability, the sigmoid of
 * `logit`; `adjusted` tells that a person's own bias or scale is in both. `cosine` is that of the two embeddings, and
 * `relative` the label's share among all labels, where it was asked for.
 * @typedef {{label: string, score: number, logit: number, cosine?: number, relative?: number, adjusted?: true, unknown?: string[]}} Score
 */
/** How well probabilities match judged answers. @typedef {{logLoss: number, error: number, bins: {share: number, predicted: number, observed: number}[]}} Reliability */
/**
 * Scale and bias that fit judged examples, as options of a call; the cosine whose probability is then one half; and how
 * well the model's probabilities and the fitted ones match the examples.
 * @typedef {{scale: number, bias: number, evenCosine: number, examples: number, before: Reliability, after: Reliability}} Calibration
 */
/** Something worth knowing that stops nothing. @typedef {{code: string, message: string}} Notice */
/** An error, in a form that can be sent. @typedef {{code: ErrorCode, message: string, unsupportedFormat?: boolean, rareFormat?: boolean, broken?: boolean}} ErrorMessage */

/** How an ONNX stores its weights, by the names of transformers.js. @typedef {'fp32' | 'fp16' | 'q8' | 'int8' | 'uint8' | 'q4' | 'q4f16' | 'bnb4'} OnnxDtype */
/**
 * Which ONNX files are loaded where there are such, whether they are looked for before others, and the address of a
 * safetensors file with the model's scale and bias.
 * @typedef {{vision: OnnxDtype, text: OnnxDtype, first: boolean, original?: string}} OnnxChoice
 */

/** A picture of an index: `hash` is its SHA-256, empty if it is not known, `modified` its time in milliseconds since 1970. @typedef {{name: string, hash: string, bytes: number, modified: number}} IndexEntry */
/** A part of a query: an embedding, or the picture of this name. @typedef {{embedding?: Float32Array, like?: string, weight: number}} QueryPart */
/**
 * What is asked of the index `name`. A picture is added without an embedding if the index knows its hash.
 * @typedef {{name: string} & ({ask: 'open', model: string, file?: Blob} | {ask: 'entries' | 'file' | 'npy' | 'close'} |
 *   {ask: 'has', file: Omit<IndexEntry, 'hash'>} | {ask: 'add', file: Omit<IndexEntry, 'hash'> & {hash: Uint8Array}, embedding?: Float32Array} |
 *   {ask: 'remove', names: string[]} | {ask: 'search', parts: QueryPart[], count: number} | {ask: 'duplicates', threshold?: number} |
 *   {ask: 'add-file', model: string, file: Blob, names?: string[]})} IndexRequest
 */

/** A class's examples, one embedding after the other. @typedef {{name: string, text?: Float32Array, images: Float32Array, not: Float32Array, mix: number}} ClassExamples */
/** What is asked of the taught classes `id`: with `c`, a linear probe is made. @typedef {{id: number} & ({ask: 'open', model: string} | {ask: 'make', classes: ClassExamples[], c?: number} | {ask: 'scores', embedding: Float32Array, ranking: Ranking} | {ask: 'file' | 'close'} | {ask: 'read', json: string})} ClassesRequest */
/**
 * What taught classes are. `accuracy` is a probe's, cross-validated in so many `folds`; `images` and `not` count pictures, and
 * `text` tells whether a text is mixed in.
 * @typedef {{model: string, kind: 'means' | 'probe', accuracy?: number, folds?: number, classes: {name: string, images: number, not: number, text: boolean, mix: number}[]}} TaughtSummary
 */

/**
 * What every worker of a model needs to know to load it.
 * @typedef {object} EngineOptions
 * @property {Precision} precision
 * @property {'image' | 'text' | 'both'} towers
 * @property {'image' | 'both'} [ready] "image" leaves the text tower to `loadText`
 * @property {number} [imageSize]
 * @property {number} [maxPatches]
 * @property {boolean} cache
 * @property {Record<string, string>} headers
 * @property {Record<string, string>} sha256
 * @property {OnnxChoice} onnx
 * @property {number} stallTimeout
 * @property {number} retryDelay
 */

/**
 * What the engine tells about a loaded model.
 * @typedef {object} EngineInfo
 * @property {'simd' | 'relaxed-simd' | 'relaxed-simd-u8' | 'relaxed-simd-i8'} backend the build, and what its dot
 *   product of bytes is exact for on this processor
 * @property {'candle'} [engine] that runs the towers, if it is not this project's own
 * @property {number} workers
 * @property {'gpu' | 'cpu'} device that runs the towers' blocks
 * @property {string} [adapter] the GPU, as the browser names it
 * @property {number} imageSize side of the square image the model sees, in pixels
 * @property {number} [maxPatches] of an image, where the model keeps the aspect of images
 * @property {'zero-shot' | 'classifier'} kind whether it scores any labels, or is fine-tuned for classes of its own
 * @property {string[]} [labels] the classes of a classifier
 * @property {'single_label_classification' | 'multi_label_classification' | 'regression'} [problemType] of a classifier:
 *   whether its scores are a softmax, sigmoids, or the logits themselves
 * @property {number} [contextLength] tokens of a text; like scale and bias, a classifier has none
 * @property {number} embeddingSize
 * @property {number} [logitScale] factor of the cosine similarity
 * @property {number} [logitBias] added to that product
 * @property {number} bytes of weights in memory
 * @property {'image' | 'text' | 'both'} towers that are loaded; a bundle and a classifier have the image tower alone
 * @property {'image' | 'text' | 'both'} ready those of the towers that need no download any more
 * @property {LabelSet[]} [labelSets] of a bundle, or imported ones
 */

/**
 * The calls that a page can make: what each takes and what it answers.
 * @typedef {object} Calls
 * @property {{parameters: {source: string | Map<string, File>, workers: 'auto' | number, device: Device, options: EngineOptions}, result: EngineInfo}} load
 * @property {{parameters: {}, result: {bytes: number, ready: 'both'} | undefined}} loadText waits for the text tower of a model whose image tower is in use
 * @property {{parameters: {image: ImageMessage} & Vectors, result: Float32Array}} embedImage
 * @property {{parameters: {image: ImageMessage, normalize?: boolean}, result: Patches}} embedPatches
 * @property {{parameters: {image: ImageMessage, label: string, labelSet?: string, template: string[], method: string}, result: Explanation}} explain
 * @property {{parameters: {texts: string[], normalize?: boolean}, result: Float32Array[]}} embedTexts
 * @property {{parameters: Prompts, result: void}} checkPrompts refuses labels or a template that no score can be had for
 * @property {{parameters: Prompts & Ranking & {embedding: Float32Array}, result: Score[]}} score
 * @property {{parameters: {logits: number[], truths: number[]}, result: Calibration}} calibrate
 * @property {{parameters: Prompts & {name: string, model: string}, result: string}} exportLabels
 * @property {{parameters: {json: string | object}, result: LabelSet[]}} importLabels
 * @property {{parameters: IndexRequest, result: any}} index
 * @property {{parameters: ClassesRequest, result: any}} classes
 */
/** @typedef {keyof Calls} Method */
/**
 * A method with its parameters.
 * @template {Method} [M=Method]
 * @typedef {{[Name in M]: {method: Name, parameters: Calls[Name]['parameters']}}[M]} Call
 */
/**
 * A handler for each call. What `tell` is given arrives before the answer; `waiting` are the calls behind it.
 * @typedef {{[M in Method]: (parameters: Calls[M]['parameters'], signal: AbortSignal, tell: (event: CallEvent) => void, waiting?: WaitingCall[]) => Promise<Calls[M]['result']>}} CallHandlers
 */
/** A call that waits for its turn. `answer` is there if an earlier one has begun it. @typedef {Call & {signal: AbortSignal, tell: (event: CallEvent) => void, answer?: Promise<any>}} WaitingCall */

/** @typedef {{type: 'call', id: number} & Call} CallMessage */
/** The page has given up a call. @typedef {{type: 'abort', id: number}} AbortMessage */
/** @typedef {CallMessage | AbortMessage | FollowMessage | JoinMessage} ToWorker */

/** How far a load is; `cached` if the bytes come from this device. @typedef {{type: 'progress', file: string, loaded: number, total: number, cached: boolean}} ProgressEvent */
/** @typedef {{type: 'notice', notice: Notice}} NoticeEvent */
/** @typedef {ProgressEvent | NoticeEvent} LoadEvent */
/** A picture that the browser does not show, made small. @typedef {{type: 'preview', preview: ImageBitmap}} PreviewEvent */
/** How many passes of a call are done. @typedef {{type: 'passes', done: number, total: number}} PassesEvent */
/** The model's blocks have moved. @typedef {{type: 'device', place: Pick<EngineInfo, 'device' | 'adapter' | 'workers' | 'bytes'>, notice: Notice}} DeviceEvent */
/** What is told of a call before its answer. @typedef {LoadEvent | PreviewEvent | PassesEvent | DeviceEvent} CallEvent */
/** @typedef {{type: 'event', id: number, event: CallEvent}} EventMessage */
/** @typedef {{type: 'result', id: number, result: Calls[Method]['result']}} ResultMessage */
/** @typedef {{type: 'error', id: number, error: ErrorMessage}} CallErrorMessage */
/** @typedef {EventMessage | ResultMessage | CallErrorMessage} FromWorker */

/** A compiled build that another worker runs. @typedef {{module: WebAssembly.Module, backend: 'simd' | 'relaxed-simd'}} SharedBuild */
/** What a follower shares with its leader: the compiled engine, and the load's options. @typedef {{build: SharedBuild, options: EngineOptions & {workers: number}}} SharedModel */
/** Be follower `index`; `ports` lead to all other workers, by index. @typedef {{type: 'follow', index: number, ports: (MessagePort | undefined)[]} & SharedModel} FollowMessage */
/** Weights follow, of these towers of a model with this config.json; those sent before are void. @typedef {{type: 'config', config: string, towers: string}} ConfigMessage */
/** `length` bytes of packed weights; the buffer is returned. @typedef {{type: 'weights', buffer: ArrayBuffer, length: number}} WeightsMessage */
/** All weights are sent. @typedef {{type: 'weights-sent'}} WeightsSentMessage */
/** @typedef {{type: 'begin', pass: number, input: PassInput}} BeginMessage */
/** Gives up a pass. @typedef {{type: 'stop', pass: number}} StopMessage */
/**
 * For a follower that holds no shard, but computes the sha256 of a large file while another worker reads it: tell when the engine is
 * there, begin a file from these states of its digests on, take `length` bytes of which the first `settled` are settled, tell the
 * state at the settled position, tell the sha256.
 * @typedef {{ask: 'ready' | 'settled' | 'finish'} | {ask: 'begin', all: string, settled: string} | {ask: 'bytes', buffer: ArrayBuffer, length: number, settled: number}} DigestRequest
 */
/** @typedef {{type: 'digest', request: DigestRequest}} DigestMessage */
/** @typedef {ConfigMessage | WeightsMessage | WeightsSentMessage | BeginMessage | StopMessage | DigestMessage} ToFollower */

/** A buffer of a `weights` message, ready for the next. @typedef {{type: 'buffer-returned', buffer: ArrayBuffer}} BufferReturnedMessage */
/** The follower's shard is complete and takes `bytes`. @typedef {{type: 'loaded', bytes: number}} LoadedMessage */
/** A helping worker is of no use any more. @typedef {{type: 'failed', error: ErrorMessage}} FailedMessage */
/** @typedef {BufferReturnedMessage | LoadedMessage | FailedMessage} FromFollower */
/** The answers to its requests. @typedef {{type: 'told', digest: string} | BufferReturnedMessage | FailedMessage} FromDigestWorker */

/** One worker's partial sums of a step of a pass: the bits of numbers. @typedef {{pass: number, step: number, partial: Uint32Array}} PeerMessage */

/** The engine whose memory a thread shares. @typedef {{module: WebAssembly.Module, memory: WebAssembly.Memory}} SharedEngine */
/** Be a thread of that engine. @typedef {{type: 'join', engine: SharedEngine}} JoinMessage */
/** @typedef {JoinMessage} ToThread */
/** @typedef {{type: 'joined'} | FailedMessage} FromThread */

/**
 * A handler for each type of message: tsc refuses a table that lacks one.
 * @template {{type: string}} Message
 * @typedef {{[Type in Message['type']]: (message: Extract<Message, {type: Type}>) => void | Promise<void>}} Handlers
 */

/**
 * Gives a message to the handler of its type, and returns what that returns.
 * @template {{type: string}} Message
 * @param {Handlers<Message>} handlers
 * @param {Message} message
 */
export function dispatch(handlers, message) {
  const handle = /** @type {Record<string, Function | undefined>} */ (handlers)[message.type];
  if (!handle) throw new TypeError(`worker.js is of another version: it has "${message.type}"`);
  return handle(message);
}
