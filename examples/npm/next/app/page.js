import Classifier from './classifier.js';

export default function Page() {
  return <Classifier labels={['a cat', 'a dog', 'a boat']} />;
}
