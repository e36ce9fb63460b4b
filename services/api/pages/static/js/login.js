// A comfort only: the form works without it. One click signs in once.
const form = document.querySelector('form');
const button = form.querySelector('button[type=submit]');

form.addEventListener('submit', () => {
  button.setAttribute('aria-disabled', 'true');
  button.textContent = 'Signing in…';
});

addEventListener('pageshow', () => {
  button.removeAttribute('aria-disabled');
  button.textContent = 'Sign in';
});
