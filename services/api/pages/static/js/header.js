// The header's Log out button.
import { request } from './api.js';

for (const button of document.querySelectorAll('[data-logout]')) {
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await request('/logout/', { method: 'POST' });
      location.assign('/login/');
    } catch {
      button.disabled = false;
      button.textContent = 'Log out (try again)';
    }
  });
}
