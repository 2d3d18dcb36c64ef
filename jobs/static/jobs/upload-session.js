"use strict";
// An upload session, without any page: begin or go on, send the slices that are missing, complete.
// Every slice is tried again with growing pauses; what is received stays received, so run() may be called again.

const SLICES_AT_A_TIME = 2;
const TRIES = 5;
const FIRST_PAUSE = 500; // ms, doubled after each try
const LOST = {
  code: "connection_lost",
  title: "The connection was lost",
  detail: "The server did not answer, although it was tried several times. What has arrived is kept.",
  mend: "Check your connection, then try again: the upload goes on where it stopped.",
};
const SIGNED_OUT = {
  code: "signed_out",
  title: "You are signed out",
  detail: "Your session has ended. What has arrived is kept.",
  mend: "Sign in again in a new tab, then come back and try again: the upload goes on where it stopped.",
};
const UNREADABLE = {
  code: "file_unreadable",
  title: "The file cannot be read any more",
  detail: "It was changed, moved or deleted while it was uploaded.",
  mend: "Choose the file again.",
};

/** What is shown to the person: code, title, detail, mend, upgrade. `retry`: the same request may succeed in a moment;
    `later`: it is refused for now, and may succeed when the person asks again. */
class Problem extends Error {
  constructor(fields, { retry = false, later = false, missing = null } = {}) {
    super(fields.title);
    Object.assign(this, { code: "", mend: "", upgrade: false }, fields, { retry, later, missing });
  }

  static fromAnswer(status, answer) {
    if (answer.error?.code === SIGNED_OUT.code) return new Problem(SIGNED_OUT);
    const unknown = {
      code: `http_${status}`,
      title: "The server refused the request",
      detail: `It answered with status ${status}.`,
      mend: "Try again; if that does not help, load this page anew and choose the same file: the upload goes on.",
    };
    const later = status === 429 || answer.error?.code === "paused";
    const retry = !later && (status >= 500 || status === 408);
    return new Problem(answer.error ?? unknown, { retry, later, missing: answer.missing });
  }
}

class UploadSession {
  /** `url` is that of a session to go on with, or null; `reference` the chosen one, or "" to have it found out from the
      file; `onProgress(bytes)` hears how many bytes are there. */
  constructor({ file, uploadsUrl, url, reference, token, onBegin, onProgress }) {
    Object.assign(this, { file, uploadsUrl, url, reference, token, onBegin, onProgress });
    this.sent = new Map(); // slice number -> bytes that are there
  }

  /** Resolves with the address of the job. Rejects with a Problem, or with an AbortError after stop(). */
  async run() {
    this.stopping = new AbortController();
    try {
      let missing = this.missing(await this.open());
      for (let round = 0; round < TRIES; round += 1) {
        await this.sendAll(missing);
        const answer = await this.complete();
        if (answer.job_url) return answer.job_url;
        missing = answer.missing;
      }
      throw new Problem(LOST, { retry: true });
    } catch (error) {
      this.stop();
      throw error.name !== "AbortError" && !(await this.readable()) ? new Problem(UNREADABLE) : error;
    }
  }

  stop() {
    this.stopping?.abort();
  }

  /** Stop and tell the server to forget what it has. */
  async abort() {
    this.stop();
    await this.beginning?.catch(() => {}); // what the server has begun it must also hear the end of
    if (this.url) await this.call("POST", `${this.url}abort/`, { signal: null });
  }

  async open() {
    const known = this.url && (await this.known());
    if (known && known.status !== "ABORTED") return known;
    const body = JSON.stringify({ file_name: this.file.name, size: this.file.size });
    this.beginning = this.call("POST", this.uploadsUrl, { body, signal: null });
    const session = await this.beginning;
    this.url = session.url;
    this.onBegin(session);
    return session;
  }

  async known() {
    try {
      return await this.retrying(() => this.call("GET", this.url));
    } catch (problem) {
      if (problem.code === "no_such_upload") return null; // it has expired
      throw problem;
    }
  }

  missing({ part_size, part_count, received, status }) {
    this.partSize = part_size;
    const have = new Set(received);
    const numbers = Array.from({ length: part_count }, (_, index) => index + 1);
    this.sent = new Map(numbers.map((n) => [n, have.has(n) ? this.slice(n).size : 0]));
    this.report();
    return status === "COMPLETED" ? [] : numbers.filter((n) => !have.has(n));
  }

  slice(number) {
    return this.file.slice((number - 1) * this.partSize, number * this.partSize);
  }

  async sendAll(numbers) {
    const queue = [...numbers];
    const worker = async () => {
      while (queue.length) await this.sendSlice(queue.shift());
    };
    await Promise.all(Array.from({ length: SLICES_AT_A_TIME }, worker));
  }

  sendSlice(number) {
    return this.retrying(async () => {
      const { url, direct } = await this.call("GET", `${this.url}parts/${number}/`);
      await this.put(url, direct, number);
    });
  }

  /** XMLHttpRequest, because fetch tells nothing of how far an upload is. */
  put(url, direct, number) {
    const body = this.slice(number);
    const note = (bytes) => {
      this.sent.set(number, bytes);
      this.report();
    };
    const { signal } = this.stopping;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const stop = () => request.abort();
      const failed = (error) => {
        note(0);
        reject(error);
      };
      request.open("PUT", url);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      if (!direct) request.setRequestHeader("X-CSRFToken", this.token);
      request.upload.onprogress = (event) => note(Math.min(event.loaded, body.size));
      request.onerror = () => failed(new Problem(LOST, { retry: true }));
      request.onabort = () => failed(signal.reason);
      request.onload = () => {
        if (!direct && request.responseURL !== new URL(url, location.href).href) return failed(new Problem(SIGNED_OUT));
        if (request.status < 300) return resolve(note(body.size));
        const problem = Problem.fromAnswer(request.status, direct ? {} : parsed(request.responseText));
        problem.retry ||= direct || problem.code === "part_length";
        failed(problem);
      };
      request.onloadend = () => signal.removeEventListener("abort", stop);
      signal.addEventListener("abort", stop);
      request.send(body);
    });
  }

  /** The answer of the server, or {missing: [numbers]}. Asked twice, it names the same job. */
  async complete() {
    try {
      const body = new URLSearchParams({ reference: this.reference });
      return await this.retrying(() => this.call("POST", `${this.url}complete/`, { body }));
    } catch (problem) {
      if (problem.missing?.length) return { missing: problem.missing };
      throw problem;
    }
  }

  async call(method, url, { body, signal = this.stopping.signal } = {}) {
    const headers = { Accept: "application/json", "X-CSRFToken": this.token };
    let response, answer;
    try {
      response = await fetch(url, { method, headers, signal, body });
      answer = parsed(await response.text());
    } catch (error) {
      throw signal?.aborted ? error : new Problem(LOST, { retry: true });
    }
    if (response.redirected) throw new Problem(SIGNED_OUT);
    if (!response.ok) throw Problem.fromAnswer(response.status, answer);
    return answer;
  }

  async retrying(action) {
    for (let tried = 1; ; tried += 1) {
      try {
        return await action();
      } catch (problem) {
        if (!problem.retry || tried === TRIES || !(await this.readable())) throw problem;
        await this.pause(FIRST_PAUSE * 2 ** (tried - 1) * (0.75 + Math.random() / 2));
      }
    }
  }

  pause(milliseconds) {
    const { signal } = this.stopping;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, milliseconds);
      signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
    });
  }

  readable() {
    return this.file.slice(0, 1).arrayBuffer().then(() => true, () => false);
  }

  report() {
    this.onProgress([...this.sent.values()].reduce((sum, bytes) => sum + bytes, 0));
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // an error page, or nothing
  }
}
