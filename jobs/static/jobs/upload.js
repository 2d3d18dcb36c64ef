"use strict";
// The page that uploads: choosing, progress, problems, unfinished uploads. The sending is in upload-session.js.

const byId = (id) => document.getElementById(id);
const page = byId("upload");
const view = { choose: byId("choose"), sending: byId("sending"), problem: byId("problem") };
const tokenField = page.querySelector("[name=csrfmiddlewaretoken]");
const limit = Number(page.dataset.limit);
let session = null;
let busy = false;

// --- words ---------------------------------------------------------------------------------------------------------

function bytesText(bytes) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return `${power ? (bytes / 1024 ** power).toFixed(1) : bytes} ${units[power]}`;
}

function timeText(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

// --- what the plan and the name allow; the server checks the same again -------------------------------------------------

function refusal(file) {
  const exact = `${file.size.toLocaleString("en")} bytes`;
  if (!/[^.].*\.(vcf(\.gz|\.bgz)?|zip)$/i.test(file.name)) {
    return new Problem({
      title: "This is not a VCF file by its name",
      detail: `The file is called “${file.name}”; GAS takes files that end in .vcf, .vcf.gz, .vcf.bgz or .zip.`,
      mend: "If it is a VCF file, give it such a name.",
    });
  }
  if (!file.size) {
    return new Problem({ title: "The file is empty", detail: "It has 0 bytes.", mend: "Choose another file." });
  }
  if (file.size > limit) {
    const upgrade = "upgrade" in page.dataset;
    return new Problem({
      title: "The file is too large for your plan",
      detail: `It has ${exact} (${bytesText(file.size)}); the ${page.dataset.plan} plan takes up to ${limit.toLocaleString("en")} bytes (${bytesText(limit)}). Nothing was sent.`,
      mend: `Compress it with bgzip, or split it by chromosome${upgrade ? ", or upgrade to Premium" : ""}.`,
      upgrade,
    });
  }
  return null;
}

// --- unfinished uploads: the server lists them, this browser remembers which file each was -------------------------------

const memory = {
  key: (url) => `gas.upload.${url}`,
  // without localStorage (forbidden, or full) an upload is begun anew instead of continued
  set: (url, file) => { try { localStorage.setItem(memory.key(url), String(file.lastModified)); } catch { /* as said */ } },
  get: (url) => { try { return localStorage.getItem(memory.key(url)); } catch { return null; } },
  forget: (url) => { try { localStorage.removeItem(memory.key(url)); } catch { /* as said */ } },
};

/** The unfinished upload of exactly this file; one of the same name and size that was changed since is another file. */
function unfinishedUpload(file) {
  const same = ({ dataset }) =>
    dataset.fileName === file.name.normalize("NFC") &&
    Number(dataset.size) === file.size &&
    memory.get(dataset.upload) === String(file.lastModified);
  return [...document.querySelectorAll("[data-upload]")].find(same)?.dataset.upload ?? null;
}

function removeFromList(url) {
  memory.forget(url);
  document.querySelector(`[data-upload="${CSS.escape(url)}"]`)?.remove();
  byId("unfinished").hidden = !document.querySelector("[data-upload]");
}

// --- what is shown ---------------------------------------------------------------------------------------------------

function show(...names) {
  for (const [name, element] of Object.entries(view)) element.hidden = !names.includes(name);
}

function showChosen(file) {
  const problem = file && refusal(file);
  byId("start").disabled = !file || Boolean(problem);
  byId("chosen").textContent = file && !problem ? chosenText(file) : "";
  if (problem) showProblem(problem, false);
  else show("choose");
}

function chosenText(file) {
  const goesOn = unfinishedUpload(file) ? " This upload was begun before and goes on where it stopped." : "";
  return `${file.name}, ${bytesText(file.size)}.${goesOn}`;
}

function showProblem(problem, underWay) {
  const signedOut = problem.code === "signed_out";
  const again = underWay && (problem.retry || problem.later || signedOut || problem.code.startsWith("http_"));
  byId("problem-title").textContent = problem.title;
  byId("problem-detail").textContent = problem.detail;
  byId("problem-mend").textContent = problem.mend;
  byId("problem-upgrade").hidden = !problem.upgrade;
  byId("problem-sign-in").hidden = !signedOut;
  byId("again").hidden = byId("give-up").hidden = !again;
  show("problem", again ? "" : "choose");
  byId("problem-title").focus();
}

function progressShower(file) {
  let begun = null;
  let quarter = 0;
  return (bytes) => {
    begun ??= { at: Date.now(), bytes };
    const share = bytes / file.size;
    const rate = (bytes - begun.bytes) / (Date.now() - begun.at); // bytes a millisecond
    const left = rate > 0 && Date.now() - begun.at > 1000 ? `, about ${timeText((file.size - bytes) / rate / 1000)} left` : "";
    byId("sent").value = share;
    byId("sending-text").textContent =
      bytes < file.size
        ? `${bytesText(bytes)} of ${bytesText(file.size)}, ${Math.floor(share * 100)} %${left}`
        : "All is sent; the server checks the file.";
    if (Math.floor(share * 4) > quarter) {
      quarter = Math.floor(share * 4);
      byId("sending-phase").textContent = `${quarter * 25} percent are uploaded`;
    }
  };
}

// --- what happens ------------------------------------------------------------------------------------------------------

function upload(file) {
  session = new UploadSession({
    file,
    uploadsUrl: page.dataset.uploads,
    url: unfinishedUpload(file),
    reference: byId("reference")?.value ?? "", // no choice where there is only one
    token: tokenField.value,
    onBegin: ({ url }) => memory.set(url, file),
    onProgress: progressShower(file),
  });
  byId("sending-name").textContent = `Uploading ${file.name}`;
  return send();
}

async function send() {
  busy = true;
  show("sending");
  byId("sending-name").focus();
  try {
    const jobUrl = await session.run();
    memory.forget(session.url);
    busy = false;
    location.assign(jobUrl);
  } catch (problem) {
    busy = false;
    if (problem.name === "AbortError") return;
    if (!(problem instanceof Problem)) throw problem;
    showProblem(problem, true);
  }
}

/** Signing in again changes the CSRF token, so a new try takes it from the page as the server gives it now. */
async function tryAgain() {
  const answer = await fetch(location.pathname).catch(() => null);
  if (answer?.ok && !answer.redirected) {
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    session.token = fresh.querySelector("#upload [name=csrfmiddlewaretoken]").value;
  }
  return send();
}

async function cancel() {
  busy = false;
  const { url } = session;
  await session.abort().catch(() => {}); // out of reach: the server forgets it by itself after a day
  if (url) removeFromList(url);
  byId("choose").reset();
  showChosen(null);
  byId("file").focus();
}

async function cancelListed(item) {
  const listed = new UploadSession({ url: item.dataset.upload, token: tokenField.value });
  try {
    await listed.abort();
    removeFromList(item.dataset.upload);
  } catch (problem) {
    showProblem(problem, false);
  }
}

async function completeListed(item) {
  const listed = new UploadSession({ url: item.dataset.upload, token: tokenField.value });
  const body = new URLSearchParams({ reference: byId("reference")?.value ?? "" });
  try {
    const { job_url: jobUrl } = await listed.call("POST", `${listed.url}complete/`, { body, signal: null });
    memory.forget(listed.url);
    location.assign(jobUrl);
  } catch (problem) {
    showProblem(problem, false);
  }
}

function listenToDrops(zone) {
  const over = (is) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", is);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    if (!event.dataTransfer.files.length) return;
    byId("file").files = event.dataTransfer.files;
    showChosen(byId("file").files[0]);
  });
}

byId("file").addEventListener("click", (event) => {
  event.target.value = ""; // or the same file, mended meanwhile, would be no change to the browser
  showChosen(null);
});
byId("file").addEventListener("change", (event) => showChosen(event.target.files[0]));
view.choose.addEventListener("submit", (event) => {
  event.preventDefault();
  upload(byId("file").files[0]);
});
byId("again").addEventListener("click", tryAgain);
for (const button of document.querySelectorAll("[data-cancel]")) button.addEventListener("click", cancel);
for (const item of document.querySelectorAll("[data-upload]")) {
  item.querySelector("[data-abort]").addEventListener("click", () => cancelListed(item));
  item.querySelector("[data-complete]")?.addEventListener("click", () => completeListed(item));
}
window.addEventListener("beforeunload", (event) => {
  if (busy) event.preventDefault();
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // back from the job's page: what is shown here is past
});
listenToDrops(page.querySelector(".dropzone"));
showChosen(null);
