import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import 'siglip-web/element';
import 'siglip-web/tiny';

/** React 19 sets the element's properties, and listens to an event by `on` and its name. */
function App() {
  const [labels, setLabels] = useState(['a cat', 'a dog']);
  const [best, setBest] = useState('');
  return (
    <>
      <siglip-classifier
        labels={labels}
        topK={1}
        loading="lazy"
        onresult={({ detail }) => setBest(detail.scores[0]?.label ?? '')}
      />
      <output>{best}</output>
      <button onClick={() => setLabels(['a boat', 'an animal'])}>Other labels</button>
    </>
  );
}

createRoot(document.getElementById('root')).render(<App />);
