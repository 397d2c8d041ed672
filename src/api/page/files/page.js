// Keeps a page true that was written by the coordinator: takes it anew when something happened, and
// lets its clocks go on in between. Without this script the page is the same, and reloads itself.
'use strict';
(() => {
  const TOGETHER = 300; // what happens within so long is shown together
  const BUSY_EVERY = 5000;
  const IDLE_EVERY = 30000;
  const link = document.getElementById('link');
  let skew = 0; // of this machine's clock to the coordinator's
  let timer = null;
  let events = null;
  let looking = false;
  let again = false;

  const part = () => document.getElementById('part');
  const say = (words, isLost) => {
    if (link.textContent !== words) link.textContent = words;
    link.classList.toggle('lost', isLost);
  };

  // The two largest units, as the coordinator writes them.
  const span = (seconds) => {
    const [d, h, m, s] = [seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map(Math.floor);
    const two = (a, unit, b, lesser) => a + unit + (b ? ' ' + b + lesser : '');
    if (d) return two(d, 'd', h, 'h');
    if (h) return two(h, 'h', m, 'm');
    if (m) return two(m, 'm', s, 's');
    return s + 's';
  };

  const tick = () => {
    const now = Date.now() - skew;
    const tell = (element, seconds) => {
      const words = span(Math.max(0, Math.floor(seconds)));
      if (element.textContent !== words) element.textContent = words;
    };
    document.querySelectorAll('[data-since]').forEach((it) => tell(it, (now - Date.parse(it.dataset.since)) / 1000));
    document.querySelectorAll('[data-until]').forEach((it) => tell(it, (Date.parse(it.dataset.until) - now) / 1000));
  };

  // Makes one tree like the other and leaves alone what is alike: focus, what is folded open, and
  // what is selected stay.
  const morph = (from, to) => {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || from.id !== to.id) {
      from.replaceWith(to);
      return;
    }
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(name === 'open' && from.nodeName === 'DETAILS')) from.removeAttribute(name);
    }
    for (const { name, value } of [...to.attributes]) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    const theirs = [...to.childNodes];
    const ours = [...from.childNodes];
    theirs.forEach((child, n) => (n < ours.length ? morph(ours[n], child) : from.appendChild(child)));
    ours.slice(theirs.length).forEach((child) => child.remove());
  };

  const look = async () => {
    if (looking) { again = true; return; }
    looking = true;
    clearTimeout(timer);
    try {
      const answer = await fetch(location.href, { credentials: 'same-origin', headers: { accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const anew = page.getElementById('part');
      if (answer.redirected || !anew) {
        say(answer.ok ? 'You are signed out: load this page again to sign in.' : 'The coordinator does not answer. What you see may be old.', true);
      } else {
        document.title = page.title;
        morph(part(), anew);
        told();
      }
    } catch (error) {
      say('The coordinator cannot be reached. What you see may be old.', true);
    }
    looking = false;
    if (again) { again = false; soon(); } else plan();
  };

  const told = () => {
    skew = Date.now() - Date.parse(part().dataset.now);
    tick();
    const isHeard = events && events.readyState === EventSource.OPEN;
    say(isHeard ? 'Live.' : 'Shown anew every few seconds.', false);
  };

  const soon = () => { clearTimeout(timer); timer = setTimeout(look, TOGETHER); };
  const plan = () => {
    clearTimeout(timer);
    if (document.hidden) return;
    const isBusy = part().querySelector('.visit, .headline.busy') !== null;
    timer = setTimeout(look, isBusy ? BUSY_EVERY : IDLE_EVERY);
  };

  // A window that nobody sees holds no connection: browsers have few of them.
  const listen = () => {
    if (document.hidden || events) return;
    events = new EventSource('/v1/events');
    events.onopen = soon;
    events.onmessage = soon;
    events.onerror = () => {
      if (events && events.readyState === EventSource.CLOSED) {
        events = null;
        setTimeout(listen, BUSY_EVERY);
      }
    };
  };
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      if (events) events.close();
      events = null;
      clearTimeout(timer);
    } else {
      listen();
      look();
    }
  });

  // What was done just now is told once.
  const said = document.querySelector('.said');
  if (said) {
    history.replaceState(null, '', location.pathname);
    setTimeout(() => said.remove(), 20000);
  }

  told();
  setInterval(tick, 1000);
  listen();
  plan();
})();
