// Search from a folder: browsers refuse workers on file://, so there the worker's script runs in a frame that is not shown.
if (location.protocol === "file:") window.Worker = class extends EventTarget {
  constructor(url) {
    super()
    this.waiting = []
    const frame = document.createElement("iframe")
    frame.hidden = true
    document.body.appendChild(frame)
    const inside = this.inside = frame.contentWindow
    inside.postMessage = data => this.answer(data)
    inside.importScripts = (...urls) => urls.reduce((before, one) => before.then(() => this.load(one)), Promise.resolve())
    this.load(url).then(() => { this.ready = true; this.waiting.splice(0).forEach(d => this.postMessage(d)) })
  }
  load(url) {
    const d = this.inside.document, script = d.createElement("script")
    script.src = url
    return new Promise((done, failed) => { script.onload = done; script.onerror = failed; d.body.appendChild(script) })
  }
  answer(data) {
    const event = new MessageEvent("message", { data })
    if (this.onmessage) this.onmessage(event)
    this.dispatchEvent(event)
  }
  postMessage(data) {
    if (!this.ready) return this.waiting.push(data)
    this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data }))
  }
  terminate() {}
}
