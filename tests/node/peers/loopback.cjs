// Loaded before Portkey's gateway, which listens on every address and has no setting for that.
'use strict';

const net = require('node:net');

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...given) {
  const [first, ...rest] = given;
  if (typeof first !== 'number') {
    throw new Error('expected listen(port, ...)');
  }
  const done = rest.filter((it) => typeof it === 'function');
  return listen.call(this, first, '127.0.0.1', ...done);
};
