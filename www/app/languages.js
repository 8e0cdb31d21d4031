/**
 * The sentences of the page in other languages, by language and then by the English sentence, in the order of the files.
 * `{}` stands for a value, and `{0}` for the first of them.
 */

/** @type {Record<string, Record<string, string>>} */
export const languages = {
  ja: {
    // index.html
    'siglip-web: what is in the picture?': 'siglip-web：何が写っている？',
    'siglip-web': 'siglip-web',
    'Skip to the results': '結果へ移動',
    'Nothing leaves this browser': 'データはこのブラウザーの外に出ません',
    'What is in the picture?': '何が写っている？',
    'Drop pictures, write labels, read how likely each one is. The model runs right here in your browser: no picture and no label is sent anywhere.':
      '画像をドロップし、ラベルを書くと、それぞれの確率がわかります。モデルはこのブラウザーの中で動き、画像もラベルもどこにも送信しません。',
    'This page has not started. Browsers run no scripts of a page that is opened as a file: serve it with “cargo xtask serve”, or from any web server.':
      'このページはまだ起動していません。ファイルとして開いたページのスクリプトは、ブラウザーが実行しません。「cargo xtask serve」か、任意のウェブサーバーで配信してください。',
    Pictures: '画像',
    'Drop them anywhere on this page': 'このページのどこにでもドロップ',
    ', paste them, or': '、貼り付け、または',
    'Choose pictures': '画像を選択',
    'Address of a picture': '画像のアドレス',
    'or a picture’s address': 'または画像のアドレス',
    Add: '追加',
    'Or try one of these': 'またはこちらの見本で',
    'Sample: a grasshopper on a leaf': '見本：葉の上のバッタ',
    'Sample: a border terrier': '見本：ボーダー・テリア',
    'Sample: a red powerboat': '見本：赤いモーターボート',
    'Sample: the face of a cat': '見本：猫の顔',
    'Sample: a cup of coffee': '見本：一杯のコーヒー',
    'Camera…': 'カメラ…',
    'Watch the labels change live.': 'カメラの映像をその場で判定します。',
    'Search a folder…': 'フォルダーを検索…',
    'Find pictures of your own by words, or by a picture like them.':
      '手元の画像を、言葉や似た画像から探します。',
    'Evaluate a folder…': 'フォルダーで評価…',
    'A sub-folder of pictures for each class, named by it: how often is the model right?':
      'クラスごとに、その名前のサブフォルダーに画像を入れてください。モデルの正解率を調べます。',
    Labels: 'ラベル',
    'New label': '新しいラベル',
    'Write a label …': 'ラベルを入力…',
    'Enter or a comma adds a label. Click a label to change it.':
      'Enter キーまたはコンマで追加します。ラベルをクリックすると編集できます。',
    'Sentence around each label': 'ラベルを入れる文',
    'The model reads this sentence, with the label in place of {}. Of several, separated by |, the mean is taken; “imagenet” is a set of eight.':
      'モデルは {} をラベルに置き換えたこの文を読みます。| で区切ると複数の文の平均を使います。「imagenet」は 8 文の組です。',
    'Teach by pictures…': '画像で教える…',
    'Copy a link': 'リンクをコピー',
    'Copy code for a site': 'サイト用のコードをコピー',
    Model: 'モデル',
    'None yet': 'まだありません',
    'Runs on': '実行先',
    Automatic: '自動',
    GPU: 'GPU',
    CPU: 'CPU',
    'This is the small demonstration model that comes with the page. It answers at once, knows a few hundred everyday things and is often wrong; a published SigLIP checkpoint is far better.':
      'これはページに付属する小さなデモ用モデルです。すぐに答えますが、知っているのは身近な物数百種類だけで、よく間違えます。公開されている SigLIP のチェックポイントのほうがはるかに正確です。',
    'Model download': 'モデルのダウンロード',
    Cancel: 'キャンセル',
    'Try again': 'もう一度試す',
    'Use another model': '別のモデルを使う',
    'Address of a model folder, or a hub name': 'モデルのフォルダーのアドレス、またはハブでの名前',
    'https://… or owner/name': 'https://… または owner/name',
    'With config.json, tokenizer.json and model.safetensors in it.':
      'config.json、tokenizer.json、model.safetensors が入っているもの。',
    'Or from this device': 'または、この端末から',
    'Open files…': 'ファイルを開く…',
    'Open a folder…': 'フォルダーを開く…',
    'A .gguf, or a .safetensors or .onnx with its JSON files. Dropping them anywhere on the page does the same. They are read where they are, and not kept.':
      '.gguf、または JSON ファイル付きの .safetensors か .onnx。ページのどこかにドロップしても同じです。元の場所から読むだけで、保存しません。',
    'Weights in memory': 'メモリー上の重み',
    '8-bit: a quarter of the memory': '8 ビット：メモリーは 4 分の 1',
    '32-bit: exact': '32 ビット：正確',
    'Load this model': 'このモデルを読み込む',
    'Models on this device': 'この端末にあるモデル',
    'Keep on this device': 'この端末に残す',
    'Delete all': 'すべて削除',
    Results: '結果',
    'Remove all': 'すべて取り除く',
    View: '表示',
    Cards: 'カード',
    Table: '表',
    Undo: '元に戻す',
    'Every label gets a probability of its own, as SigLIP is trained to give: several can be true at once, or none, so they need not add up to 100%.':
      'SigLIP の学習方法のとおり、ラベルごとに独立した確率を出します。複数が同時に当てはまることも、一つも当てはまらないこともあり、合計は 100% になりません。',
    'Adjust the scores': 'スコアを調整',
    'Your own bias:': '自分で加えるバイアス：',
    'Are all scores near zero? The model is cautious by its training. A bias moves all of them alike and leaves their order.':
      'どのスコアもゼロに近いときは、学習のせいでモデルが慎重なのです。バイアスは全部を同じだけ動かし、順位は変えません。',
    'Compare the labels with each other': 'ラベル同士を比べる',
    'Judge a few answers …': '答えをいくつか判定…',
    'As the model gives them': 'モデルの値に戻す',
    'No pictures yet. Drop one, or take a sample.':
      '画像がまだありません。ドロップするか、見本を選んでください。',
    'SigLIP by Google Research, computed by Rust in WebAssembly. Sample pictures:':
      'SigLIP は Google Research によるもので、WebAssembly にした Rust で計算しています。見本の画像：',
    credits: '出典',
    Privacy: 'プライバシー',
    'This page is kept on this device: it opens without a network too.':
      'このページはこの端末に保存されています。ネットワークがなくても開けます。',
    'Drop to see what is in it, or on a label to teach it':
      'ドロップすると、何が写っているかを調べます。ラベルの上なら、そのラベルに教えます',

    // Pictures, cards and labels
    'This model is fine-tuned for {} classes of its own and reads no labels: {}{}':
      'このモデルは独自の {0} クラスに合わせて微調整されており、ラベルは読みません：{1}{2}',
    '{} pictures added.': '画像を {0} 枚追加しました。',
    'Waiting for the model …': 'モデルを待っています…',
    'Removed: {}': '取り除きました：{0}',
    'Undo removal of {}': '{0} を元に戻す',
    'Undo removal of {} pictures': '画像 {0} 枚を元に戻す',
    'Back: {}': '元に戻しました：{0}',
    '{} pictures are back.': '画像 {0} 枚を元に戻しました。',
    'All pictures removed.': '画像をすべて取り除きました。',
    'Why?': 'なぜ？',
    Example: '例',
    'Remove {}': '{0} を取り除く',
    'Looking at it …': '見ています…',
    'Picture {} · labels {}': '画像 {0} · ラベル {1}',
    'Added: {}': '追加しました：{0}',
    Label: 'ラベル',
    'No preview of {}': '{0} のプレビューはありません',
    'unknown: {}': '未知の語：{0}',
    'The model does not know this word, so it cannot tell. Try another one.':
      'モデルはこの語を知らないので答えられません。別の語を試してください。',
    'probability {}, ': '確率 {0}、',
    'cosine {}, ': 'コサイン {0}、',
    'logit {}': 'ロジット {0}',
    ' (scale and bias not the model’s)': '（スケールとバイアスはモデルのものではありません）',
    'Copied.': 'コピーしました。',
    Copied: 'コピーしました',
    'The model takes one of its classes to be right: their probabilities add up to 100%.':
      'モデルは自分のクラスのどれか一つが正しいと見なします。確率の合計は 100% です。',
    'The model gives each of its outputs a number.': 'モデルは出力ごとに数値を出します。',
    ' With your own bias of {} and scale of {}, fitted to {} answers that you judged, these are not the model’s probabilities.':
      ' 判定した{2}件の答えに合わせたバイアス{0}と倍率{1}を使っているため、モデル本来の確率ではありません。',
    ' With your own bias of {}, these are not the model’s probabilities.':
      '自分で加えたバイアス {0} があるため、モデルの確率ではありません。',
    'Shares of 100% among these labels, as if one of them had to be right: they compare labels, and say nothing of how likely one is by itself.':
      'どれか一つが必ず正しいとして、100% をこれらのラベルで分けた割合です。ラベル同士の比較であり、それぞれの確からしさではありません。',
    'Label to explain': '説明するラベル',
    ' Thorough: hides one part after the other, some fifty times slower':
      ' 念入りに：部分を一つずつ隠して調べます。約 50 倍の時間がかかります',
    'Looking closer …': '詳しく見ています…',
    'Looking closer: {} of {}': '詳しく見ています：{0} / {1}',
    'What speaks for “{}”': '「{0}」の根拠',
    'Lit: the parts that speak most for “{}”. By themselves they have logits from {} to {}. This map is experimental.':
      '明るい部分が「{0}」の最も強い根拠です。部分だけのロジットは {1} から {2} です。この図は試験的なものです。',
    'Lit: the parts without which “{}” is less likely. Hidden, they lower the logit by up to {}.':
      '明るい部分がないと「{0}」の確率が下がります。隠すとロジットは最大 {1} 下がります。',
    'Check against candle': 'candle と比べる',
    'candle, another implementation of the model, loads it once more, in single precision: about {} of memory.':
      '同じモデルの別の実装である candle が、単精度でモデルをもう一度読み込みます。約 {0} のメモリーを使います。',
    'candle looks at it …': 'candle が見ています…',
    'Logit here ({})': 'ここでのロジット（{0}）',
    'Logit of candle (f32)': 'candle のロジット（f32）',
    'Largest difference of a logit: {}. candle took {} for the picture.':
      'ロジットの最大の差：{0}。candle は画像に {1} かかりました。',
    'The weights here are in 8 bits, those of candle are not.':
      'ここでの重みは 8 ビットですが、candle の重みはそうではありません。',

    // Work on many pictures
    'Pictures looked at': '見終わった画像',
    Pause: '一時停止',
    'Go on': '続ける',
    'Work on pictures': '画像の処理',
    '{} of {} pictures': '画像 {0} / {1} 枚',
    ' · about {} left': ' · 残り約 {0}',
    ' · paused': ' · 一時停止中',
    '{} pictures in {}': '画像 {0} 枚、{1}',
    '{} could not be read': '{0} は読めませんでした',
    '; the first {}': '、最初の {0} 件',

    // Files
    '{} needs config.json, preprocessor_config.json and, unless it is a fine-tuned classifier, tokenizer.json. Take all of them together, or their folder.':
      '{0} には config.json と preprocessor_config.json、微調整された分類器でなければ tokenizer.json も必要です。全部をまとめて、またはフォルダーごと選んでください。',
    'There are several models among these files ({}): take one.':
      'これらのファイルには複数のモデルがあります（{0}）。一つにしてください。',
    '{} and {} more': '{0} ほか {1} 件',
    'An evaluation takes a folder with two sub-folders of pictures or more, each named by what is in its pictures.':
      '評価には、写っている物の名前を付けた画像のサブフォルダーが二つ以上あるフォルダーが必要です。',
    'The files cannot be read': 'ファイルを読めません',
    'There is neither a picture nor a model among these files: {}.':
      'これらのファイルには画像もモデルもありません：{0}。',
    'The folder is empty.': 'フォルダーは空です。',

    // The model
    'The download has been cancelled.': 'ダウンロードをキャンセルしました。',
    'Loading {} …': '{0} を読み込んでいます…',
    'There is no model among these files: {}.': 'これらのファイルにモデルはありません：{0}。',
    'The link to this page names the model {}. It is not on this device: load it below if you like.':
      'このページへのリンクはモデル {0} を指しています。この端末にはありません。よければ下で読み込んでください。',
    ' The previous model still answers.': ' 答えるのは引き続き前のモデルです。',
    'There is no model: load one under “Model”.': 'モデルがありません。「モデル」で読み込んでください。',
    'The model is ready.': 'モデルの準備ができました。',
    'Pictures at {} px': '画像は {0} px',
    '8-bit weights, {} in memory': '8 ビットの重み、メモリー {0}',
    '32-bit weights, {} in memory': '32 ビットの重み、メモリー {0}',
    'CPU: 1 worker, {}': 'CPU：ワーカー 1 個、{0}',
    'CPU: {} workers, {}': 'CPU：ワーカー {0} 個、{1}',
    'Comes with this page': 'このページに付属',
    'Tiny, for demonstration · {}': 'Tiny（デモ用） · {0}',
    'Tiny, the demonstration model': 'Tiny（デモ用モデル）',
    'Published by Google': 'Google が公開',
    'The same in fewer bytes': '同じものを少ないバイト数で',
    Elsewhere: 'その他',
    'An address, or your own files …': 'アドレス、または手元のファイル…',
    // lib/checkpoints.js: the parts of the names
    Base: 'Base',
    Large: 'Large',
    'Shape-optimised 400M': '形状最適化 400M',
    'SigLIP 2 base': 'SigLIP 2 base',
    'SigLIP 2 large': 'SigLIP 2 large',
    'SigLIP 2 400M': 'SigLIP 2 400M',
    'SigLIP 2 giant': 'SigLIP 2 giant',
    MedSigLIP: 'MedSigLIP',
    'large patches': '大きなパッチ',
    'small patches': '小さなパッチ',
    'aspect kept': '縦横比を保つ',
    'many languages': '多言語',
    'in 8 bits': '8 ビット',
    'All models are deleted.': 'モデルをすべて削除しました。',
    'None yet.': 'まだありません。',
    'The browser gives this page no storage: models are downloaded on every visit.':
      'ブラウザーがこのページに保存領域を与えないため、モデルは毎回ダウンロードされます。',
    'The browser has agreed to keep models until you delete them.':
      'ブラウザーは、あなたが削除するまでモデルを残すことに同意しました。',
    'The browser has not agreed: it may still delete models when room gets scarce.':
      'ブラウザーは同意しませんでした。空きが少なくなるとモデルを削除することがあります。',
    'The browser may delete models when room gets scarce.':
      '空きが少なくなると、ブラウザーがモデルを削除することがあります。',
    '8-bit': '8 ビット',
    '32-bit': '32 ビット',
    'image half only': '画像側のみ',
    'text half only': 'テキスト側のみ',
    unfinished: '未完了',
    Delete: '削除',
    'Delete {}, {}': '{0}（{1}）を削除',
    'Deleted: {}.': '削除しました：{0}。',
    'It could not be deleted': '削除できませんでした',
    'A download that has just begun': '始まったばかりのダウンロード',
    ' The browser has room for {}.': ' ブラウザーの空きは {0} です。',
    'Weights in 8 bits, made by others of the original: a little less exact. ':
      '元のモデルから第三者が作った 8 ビットの重みで、少しだけ不正確です。',
    'Downloads {} from huggingface.co': 'huggingface.co から {0} をダウンロードします',
    '{}, on every visit: the browser gives this page no storage.':
      '{0}（毎回）。ブラウザーがこのページに保存領域を与えないためです。',
    'Kept on this device: nothing is downloaded.': 'この端末にあるので、何もダウンロードしません。',
    'about {}': '約 {0}',
    '{}.': '{0}。',
    '{}, once: {} are kept for the next visit.': '{0}（一度だけ）。次回のために{1} を残します。',
    'Continues the interrupted download: {} of {} are here.':
      '中断したダウンロードを続けます。{1} のうち {0} がここにあります。',
    'This connection is metered or slow: load the same model in 8 bits, {} in place of {}, a little less exact?':
      '従量制または低速の接続です。同じモデルの 8 ビット版（{1} ではなく {0}、精度はわずかに下がります）を読み込みますか？',
    'Load {}': '{0} を読み込む',
    'There is no room to keep this model, which takes {}. It will work, but it will be downloaded again on the next visit. Delete models below to make room.':
      'このモデルには{0} が必要で、残しておく空きがありません。動きますが、次回はまたダウンロードします。下でモデルを削除すると空きができます。',
    'Ready.': '準備ができました。',
    'Preparing the model …': 'モデルを準備しています…',
    'Loading the model …': 'モデルを読み込んでいます…',
    'Loading the model: {} of {}': 'モデルを読み込んでいます：{0} / {1}',
    'Loading the model: {}': 'モデルを読み込んでいます：{0}',
    'Loading the model (ready for pictures): {} of {}':
      'モデルを読み込んでいます（画像は処理可能）：{0} / {1}',
    '{} s': '{0} 秒',
    '{} min': '{0} 分',
    '1 picture': '画像 1 枚',
    '{} pictures': '画像 {0} 枚',

    // Errors: what the engine says of them in detail is in English.
    'It could not be fetched': '取得できませんでした',
    'Nothing was found there': 'そこには何もありませんでした',
    'The file arrived damaged': 'ファイルが壊れて届きました',
    'This model does not run here': 'このモデルはここでは動きません',
    'The weights cannot be used': '重みを使えません',
    'This picture cannot be read': 'この画像は読めません',
    'This input cannot be used': 'この入力は使えません',
    'The browser’s storage is full': 'ブラウザーの保存領域がいっぱいです',
    'There is not enough memory': 'メモリーが足りません',
    'The engine has stopped': 'エンジンが停止しました',
    'Something went wrong': '問題が起きました',

    // The element
    'Drop or paste a picture here, or choose one.':
      'ここに画像をドロップするか貼り付けるか、画像を選んでください。',
    'Choose a picture': '画像を選択',
    'Load the model ({})': 'モデルを読み込む（{0}）',
    'Load the model': 'モデルを読み込む',
    'The picture waits for the model.': '画像はモデルを待っています。',
    'none of the labels': '当てはまるラベルなし',
    'A picture with an answer is needed.': '答えの出た画像が必要です。',

    // The table
    'Probability: how likely each label is by itself, so a row need not add up to 100%.':
      '確率：ラベルごとの確からしさ。行の合計は 100% になるとは限りません。',
    'Logit: the score before it is made a probability; 0 stands for 50%, and the colours run from the lowest to the highest in the table.':
      'ロジット：確率にする前のスコア。0 が 50% にあたり、色は表の中の最小から最大までです。',
    'Share: the labels of a row divide 100%, as if one of them had to be right; it says nothing of how likely one is by itself.':
      '割合：どれか一つが必ず正しいとして、行のラベルで 100% を分けたもの。それぞれの確からしさではありません。',
    Probability: '確率',
    Logit: 'ロジット',
    'Share among labels': 'ラベル間の割合',
    'Part of a name': '名前の一部',
    'All pictures': 'すべての画像',
    'Reach a threshold': 'しきい値に達したもの',
    'Reach no threshold': 'しきい値に達しないもの',
    'Could not be read': '読めなかったもの',
    Threshold: 'しきい値',
    'Threshold for': 'しきい値の対象',
    'All labels': 'すべてのラベル',
    'Probability of at least {}': '確率 {0} 以上',
    'reaches the threshold': 'しきい値に達しています',
    'Pictures and labels': '画像とラベル',
    'Table of results': '結果の表',
    Values: '値',
    Find: '検索',
    Show: '表示',
    'Remove selected': '選んだものを取り除く',
    'Save CSV': 'CSV で保存',
    'Save JSON': 'JSON で保存',
    'Save names per label': 'ラベルごとの名前を保存',
    '{} of {}': '{1} 枚のうち{0}',
    '{} selected': '{0} 枚を選択中',
    'the first {} of {} labels; the files have all': '{1} 個のラベルのうち最初の {0} 個（ファイルには全部）',
    'Sorted by {}, descending.': '{0} の降順に並べました。',
    'Sorted by {}, ascending.': '{0} の昇順に並べました。',
    'Select all that are shown': '表示中のものをすべて選択',
    Picture: '画像',
    'Select {}': '{0} を選択',
    'Waiting …': '待っています…',
    'Saved {}.': '{0}を保存しました。',

    // The search
    'Search a folder': 'フォルダーを検索',
    'Choose a folder to search': '検索するフォルダーを選択',
    'Choose a folder…': 'フォルダーを選択…',
    'Each picture is looked at once, here in the browser. What is kept on this device is a kilobyte of numbers for each, and no picture.':
      '画像はこのブラウザーの中で一度だけ見ます。端末に残るのは 1 枚につき約 1 キロバイトの数値で、画像は残りません。',
    'Open {} again': '{0} をもう一度開く',
    'Search {}': '{0} を検索',
    'Pictures embedded': '埋め込みを計算した画像',
    Stop: '停止',
    'What is not in it?': '何が写っていない？',
    'and what is not?': '写っていないものは？',
    Search: '検索',
    'Search with a picture': '画像で検索',
    'With a picture…': '画像で…',
    'Find duplicates': '重複を探す',
    'Load an index': '索引を読み込む',
    'The index as a file': '索引のファイル',
    '“siglip search” on the command line answers from it, and what “siglip index” has made of this folder needs not be looked at again here.':
      'コマンドラインの「siglip search」がこのファイルで検索でき、「siglip index」がこのフォルダーから作ったものは、ここで見直さずに済みます。',
    'Save the index': '索引を保存',
    'Load an index…': '索引を読み込む…',
    'Close the search': '検索を閉じる',
    '{} and “{}”': '{0} と「{1}」',
    '{} without “{}”': '{0}、ただし「{1}」がないもの',
    'anything but “{}”': '「{0}」がないもの',
    'Search without {}': '{0} なしで検索',
    '“{}”': '「{0}」',
    '{}. Another tab is at work on this folder: it can be searched here, and is brought up to date there.':
      '{0}。別のタブがこのフォルダーを処理しています。ここでは検索でき、更新はあちらで行います。',
    'What was kept of this folder cannot be read. It is looked at anew.':
      'このフォルダーの保存した内容を読めません。もう一度見直します。',
    'Looking at the folder …': 'フォルダーを見ています…',
    '{} of {} files': 'ファイル {0} / {1} 個',
    ', {} not read': '、{0} 個は読めず',
    '{} new, {} gone': '新規 {0}、消失 {1}',
    '{} new': '新規 {0}',
    '{} ({})': '{0}（{1}）',
    '{} could not be read as pictures': '{0} 個は画像として読めませんでした',
    'Stopped. {} can be searched; choose the folder again to go on.':
      '停止しました。{0}を検索できます。続けるにはフォルダーをもう一度選んでください。',
    'The {} that fit {} best, the best first ({} ms).': '{1} に最も合う {0} 枚、よく合う順（{2} ミリ秒）。',
    'No pictures have been looked at yet.': 'まだ画像を見ていません。',
    'Comparing all pictures: {} %': 'すべての画像を比べています: {0} %',
    'Save the index as a file': '索引をファイルに保存',
    'The index now has {}.': '索引には{0}があります。',
    '1 group of pictures that are nearly the same.': 'ほぼ同じ画像の組が 1 組あります。',
    '{} groups of pictures that are nearly the same.': 'ほぼ同じ画像の組が {0} 組あります。',
    ' Here are {} of them.': 'そのうち {0} 組を示します。',
    'No two pictures are nearly the same.': 'ほぼ同じ画像はありません。',
    'More like {}': '{0} に似たもの',
    'Labels for {}': '{0} のラベル',
    '{} is not in the folder any more': '{0} はもうフォルダーにありません',
    'The browser may not read {}; choose the folder again.':
      'ブラウザーは {0} を読めません。フォルダーをもう一度選んでください。',

    // The evaluation
    'Pictures evaluated': '評価した画像',
    'Run again': 'もう一度実行',
    'Close the evaluation': '評価を閉じる',
    'Evaluation: {}': '評価：{0}',
    '{} pictures in {} classes': '{1} クラスの画像 {0} 枚',
    'Evaluating {}.': '{0}を評価しています。',
    'Stopped after {} of {} pictures.': '画像 {1} 枚のうち {0} 枚で停止しました。',
    'Top-1 accuracy: {}.': '正解率（1 位）：{0}。',
    'Top-1 accuracy': '正解率（1 位）',
    'Top-5 accuracy': '正解率（5 位以内）',
    ', the first {}': '、最初の {0} 枚',
    'said “{}”, {}; “{}” has {}': '答えは「{0}」{1}。「{2}」は {3}',
    '{} taken for something else': '{0}が別のものと判断されました',
    'The model has been replaced': 'モデルが入れ替わりました',
    'Run it again with the new one.': '新しいモデルでもう一度実行してください。',
    'The evaluation is closed.': '評価を閉じました。',
    'Confusion matrix: a row for each class, a column for what the model said.':
      '混同行列：行が正しいクラス、列がモデルの答えです。',
    ' Of the {} classes with the most mistakes.': ' 間違いの多い {0} クラスのみ。',

    // The offer of a published model
    'Load it': '読み込む',
    'Not now': '今はしない',
    'A published model is on this device: {}.': '公開モデルがこの端末にあります：{0}',
    'For real use: {}, {} from huggingface.co, kept on this device.':
      '実用には：{0}、huggingface.co から {1}、この端末に保存されます。',
    'For real use: {}, {} from huggingface.co, kept on this device. At the speed of this connection it takes about {}.':
      '実用には：{0}、huggingface.co から {1}、この端末に保存されます。この接続の速さでは約 {2}かかります。',

    // Keyboard shortcuts
    'Keyboard shortcuts': 'キーボードショートカット',
    'Write a label': 'ラベルを入力',
    'Table or cards': '表とカードの切り替え',
    'Choose a model': 'モデルを選択',
    'Show this list': 'この一覧を表示',
    'Use these keys where no field has the focus': '入力欄の外でこれらのキーを使う',
    Close: '閉じる',

    // Timings and memory
    'Timings and memory': '時間とメモリー',
    'Ready after': '準備にかかった時間',
    Downloaded: 'ダウンロード',
    '{} in {}': '{0}（{1}）',
    '{}; the median takes {}': '{0} 枚、中央値 {1}',
    'Labels, in the median': 'ラベル、中央値',
    Device: '実行先',
    Engine: 'エンジン',
    'Shared memory': '共有メモリー',
    yes: 'あり',
    'no: the page is not cross-origin isolated': 'なし：ページがクロスオリジン分離されていません',
    Weights: '重み',
    'Memory of the page': 'ページのメモリー',
    Storage: 'ストレージ',
    '{} used, {} allowed': '{0} を使用、上限 {1}',
    Reads: '入力',
    'pictures of {} px, texts of {} tokens': '{0} px の画像、{1} トークンの文',
    'pictures of {} px': '{0} px の画像',
    Embeddings: '埋め込み',
    '{} numbers': '{0} 個の数',
    'Scale and bias': 'スケールとバイアス',
    // app/calibration-view.js
    'Judge a few answers': '答えをいくつか判定',
    'Fit the scores to my answers': '判定にスコアを合わせる',
    'Undo the fit': '合わせる前に戻す',
    'Close the judging': '判定を閉じる',
    'Is the label true of the picture? From your answers the page learns how far to trust the model’s numbers. Some ten of each kind are a good beginning; right answers with low scores help most.':
      'ラベルは画像に合っていますか？判定をもとに、モデルの数値をどこまで信頼できるかを調整します。「はい」と「いいえ」を10件ほどずつから始めるとよいでしょう。スコアの低い正解がいちばん役立ちます。',
    'The model’s own scale and bias are in use again.': 'モデル本来の倍率とバイアスに戻しました。',
    Yes: 'はい',
    No: 'いいえ',
    'There are no answers yet: add pictures and labels.':
      'まだ答えがありません。画像とラベルを追加してください。',
    '{} judged, {} of them true.': '{0}件を判定、うち正しいもの{1}件。',
    ' At least one true and one false answer are needed.':
      ' 正しい答えと誤った答えが少なくとも1件ずつ必要です。',
    'the model’s': 'モデル',
    yours: '調整後',
    'Mean error of the probabilities': '確率の平均誤差',
    'Log loss': '対数損失',
    'Your own scale is ×{} and your own bias {}: a cosine of {} is now as likely right as wrong. Measured on the answers it was fitted to, so it flatters.':
      '倍率は×{0}、バイアスは{1}です。コサイン{2}で、正しいか誤りかが五分五分になります。合わせるのに使った答えで測ったため、実際より良く見えます。',
    'Reliability before and after the fit': '調整前後の信頼性',
    'probability shown': '表示された確率',
    'share that is true': '実際に正しい割合',

    // The element for a site's pictures
    'The first search loads the model (at most {}).': '最初の検索でモデルを読み込みます（最大 {0}）。',
    'The first search loads the model.': '最初の検索でモデルを読み込みます。',
    '{} pictures for “{}”, the best first.': '「{1}」に合う画像 {0} 枚、よく合う順。',
    'One picture for “{}”.': '「{0}」に合う画像 1 枚。',
    'No picture fits “{}”.': '「{0}」に合う画像はありません。',
    'The attribute “index” names no file of pictures.':
      '属性 index に画像の索引ファイルが指定されていません。',

    // The camera
    'The camera may not be used. Allow it for this page in the browser’s address bar or settings, then start it again.':
      'カメラの使用が許可されていません。ブラウザーのアドレスバーか設定でこのページに許可してから、もう一度開始してください。',
    'This page may not use the camera here. Open it by itself, not in a frame of another page.':
      'ここではカメラを使えません。別のページの枠の中ではなく、このページを単独で開いてください。',
    'There is no camera. Connect one, then start it again.':
      'カメラがありません。接続してから、もう一度開始してください。',
    'This camera is gone. Choose another one.': 'このカメラはもうありません。別のカメラを選んでください。',
    'Another program has the camera, or it does not answer. Close that program, then start it again.':
      '別のプログラムがカメラを使っているか、カメラが応答しません。そのプログラムを閉じてから、もう一度開始してください。',
    'The camera has stopped by itself. Start it again.': 'カメラが停止しました。もう一度開始してください。',
    Camera: 'カメラ',
    'What the camera sees': 'カメラの映像',
    Start: '開始',
    Freeze: '静止',
    'Keep this picture': 'この画像を残す',
    'The camera is off.': 'カメラは切れています。',
    'Close the camera': 'カメラを閉じる',
    'Each frame is looked at here in the browser. None is kept and none is sent.':
      '映像はこのブラウザーの中だけで判定します。保存も送信もしません。',
    'Stopped while the page was hidden.': 'ページが隠れている間に停止しました。',
    'Asking for the camera …': 'カメラの許可を待っています…',
    'The camera is on.': 'カメラが動いています。',
    '{} a frame · {} frames per second': '1 枚 {0} · 毎秒 {1} 枚',
    'Frozen.': '静止しています。',
    'Camera {}': 'カメラ {0}',
    'Browsers give the camera to pages with https: or on this computer only.':
      'カメラを使えるのは、https: のページかこのコンピューター上のページだけです。',
    'No camera': 'カメラを使えません',

    // Teaching by example
    'Teach by pictures': '画像で教える',
    Train: '学習',
    'Save as a file': 'ファイルに保存',
    'Load a file of classes': 'クラスのファイルを読み込む',
    'Forget the file': 'ファイルを忘れる',
    'Three pictures make a label a class of its own: add them here, or drop them on the label. On a card, say what a picture is not.':
      '画像が 3 枚あれば、ラベルは独自のクラスになります。ここで追加するか、ラベルにドロップしてください。カードでは、何でないかも教えられます。',
    'Load a file…': 'ファイルを読み込む…',
    'The model is not there yet': 'モデルがまだありません',
    'Load the file again when it is.': '読み込みが終わってから、もう一度ファイルを選んでください。',
    '{}: {} classes.': '{0}：{1} クラス。',
    'Label of {}': '{0} のラベル',
    'This is it': 'これです',
    'Not this': '違います',
    'Add the pictures again when it is.': '読み込みが終わってから、もう一度画像を追加してください。',
    'Looking at {} of {} …': '{1} 枚中 {0} 枚目を見ています…',
    'The picture': '画像',
    'Saved as classes.json.': 'classes.json に保存しました。',
    'A linear probe of {} classes: right in {} of the pictures that it had not seen (cross-validated).':
      '{0} クラスの線形プローブ：学習に使わなかった画像の正解率は {1}（交差検証）。',
    'The model cannot read {}: pictures are needed.': 'モデルは {0} を読めません。画像が必要です。',
    'Back to means': '平均に戻す',
    'With {} pictures a class or more: a linear probe': '1 クラス {0} 枚以上で線形プローブを学習します',
    'Pictures of {}': '{0} の画像',
    '{}: text or pictures': '{0}：文か画像か',
    Text: '文',
    Forget: '忘れる',
    'Forget the pictures of {}': '{0} の画像を忘れる',
    'Add pictures…': '画像を追加…',
    'not this: {}': '違うもの：{0}',
    'not this: {}, which count once there are pictures of it':
      '違うもの：{0}（このクラスの画像があれば使われます）',
    'Only its text': '文のみ',
  },
};
