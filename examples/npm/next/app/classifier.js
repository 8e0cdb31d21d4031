'use client';
import { useEffect, useRef, useState } from 'react';
import { Siglip } from 'siglip-web';
import 'siglip-web/tiny';

/** Loads the model once, and classifies the picture that is chosen. */
export default function Classifier({ labels }) {
  const siglip = useRef(null);
  const [text, setText] = useState('Loading');

  useEffect(() => {
    const loading = new AbortController();
    Siglip.load('tiny', { signal: loading.signal }).then(
      (loaded) => {
        siglip.current = loaded;
        setText('Ready.');
      },
      (error) => loading.signal.aborted || setText(error.message),
    );
    return () => {
      loading.abort();
      siglip.current?.dispose();
    };
  }, []);

  async function classify({ target }) {
    const scores = await siglip.current.classify(target.files[0], labels);
    setText(scores.map(({ label, score }) => `${label}: ${score.toFixed(3)}`).join('\n'));
  }

  return (
    <main>
      <input type="file" aria-label="A picture" onChange={classify} />
      <pre>
        <output>{text}</output>
      </pre>
    </main>
  );
}
