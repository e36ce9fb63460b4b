// The API's own page: Swagger UI over the gateway's OpenAPI document.
import './header.js';

const holder = document.getElementById('openapi');

SwaggerUIBundle({
  domNode: holder,
  url: holder.dataset.document,
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: 'list',
  validatorUrl: null,
  withCredentials: true,
  requestInterceptor: (request) => {
    if ((request.method ?? 'GET') !== 'GET') request.headers['X-Requested-With'] = 'vitrine';
    return request;
  },
});
