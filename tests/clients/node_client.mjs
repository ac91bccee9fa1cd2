// LIBRARY METHOD URL: one request with Node's fetch or its http/https modules; prints "status N".
import http from 'node:http';
import https from 'node:https';

const [library, method, url] = process.argv.slice(2);

async function useFetch() {
  const answer = await fetch(url, {method});
  return [answer.status, await answer.text()];
}

function useModule() {
  return new Promise((resolve, reject) => {
    const module = url.startsWith('https:') ? https : http;
    const request = module.request(url, {method}, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { body += piece; });
      answer.on('end', () => resolve([answer.statusCode, body]));
    });
    request.on('error', reject);
    request.end();
  });
}

try {
  const [status, body] = await (library === 'fetch' ? useFetch() : useModule());
  console.log(`status ${status}\n${body}`);
} catch (error) {
  console.log('error', error.message, error.cause?.code ?? '');
  process.exitCode = 1;
}
