import { createApp } from 'vue';
import App from './App.vue';
import 'siglip-web/element';
import 'siglip-web/tiny';

createApp(App).mount('#app');
