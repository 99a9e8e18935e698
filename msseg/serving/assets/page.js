'use strict';
const TEXTS = {
  en: {
    drop: 'Drop an image here, paste one, or', choose: 'Choose an image', camera: 'Camera',
    shoot: 'Take the picture', close: 'Close', opacity: 'Opacity', class: 'Class',
    pixels: 'Pixels', share: 'Share', saveLabels: 'Save labels', saveOverlay: 'Save overlay',
    point: 'Point at the picture for probabilities.', other: '中文',
    working: name => `Labelling ${name} …`,
    slow: ' The first image takes longer: the network is compiled.',
    done: (w, h, s) => `${w} × ${h} pixels, labelled in ${s} s`,
    absent: names => `Not in this image: ${names}`,
    here: (x, y, name) => `x ${x}, y ${y}: ${name}`,
    labelsOnly: ' (this model gives labels without probabilities)',
    tooLarge: (size, limit) => `the file has ${size} bytes, the limit is ${limit}: choose a smaller one`,
    lost: 'the server does not answer: is it still running?',
    noCamera: 'there is no camera that this page may use',
    insecure: 'the browser gives the camera to pages of this machine or of https only',
    noFile: 'there is no image in what was dropped or pasted',
  },
  zh: {
    drop: '把图片拖到这里，粘贴图片，或者', choose: '选择图片', camera: '摄像头',
    shoot: '拍照', close: '关闭', opacity: '不透明度', class: '类别',
    pixels: '像素', share: '占比', saveLabels: '保存标签', saveOverlay: '保存叠加图',
    point: '把指针移到图上可查看概率。', other: 'English',
    working: name => `正在标注 ${name} …`,
    slow: ' 第一张图片较慢：网络正在编译。',
    done: (w, h, s) => `${w} × ${h} 像素，用时 ${s} 秒`,
    absent: names => `图中没有：${names}`,
    here: (x, y, name) => `x ${x}，y ${y}：${name}`,
    labelsOnly: '（该模型只给出标签，没有概率）',
    tooLarge: (size, limit) => `文件有 ${size} 字节，上限为 ${limit}：请选择较小的文件`,
    lost: '服务器没有响应：它还在运行吗？',
    noCamera: '没有本页可以使用的摄像头',
    insecure: '浏览器只允许本机或 https 的页面使用摄像头',
    noFile: '拖入或粘贴的内容中没有图片',
  },
};
const SLOW_MS = 3000;
const at = id => document.getElementById(id);
let language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
let text = TEXTS[language];
let limits = null;
let result = null;  // the answer of the server, with its arrays unpacked
let running = null;  // what can abort the request on its way
let status = () => '';
const hidden = new Set();  // classes without a tint, by index

function speak() {
  text = TEXTS[language];
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll('[data-text]')) {
    node.textContent = text[node.dataset.text];
  }
  at('language').textContent = text.other;
  at('language').lang = language === 'zh' ? 'en' : 'zh';
  at('status').textContent = status();
  if (result) showLegend();
}

function tell(make) {
  status = make;
  at('status').textContent = make();
}

function fail(message) {
  tell(() => '');
  at('error').textContent = message;
  at('error').hidden = false;
}

async function ask(path, options) {
  let answer, content;
  try {
    answer = await fetch(path, options);
    content = await answer.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error(text.lost);
  }
  if (!answer.ok) throw new Error(content.error);
  return content;
}

const bytesOf = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));

async function unpack({ dtype, zlib }) {
  const stream = new Blob([bytesOf(zlib)]).stream().pipeThrough(new DecompressionStream('deflate'));
  const buffer = await new Response(stream).arrayBuffer();
  return dtype === 'uint16' ? new Uint16Array(buffer) : new Uint8Array(buffer);
}

async function label(file) {
  at('error').hidden = true;
  if (running) running.abort();
  const mine = running = new AbortController();
  const name = file.name || 'image';
  if (limits && file.size > limits.bytes) {
    fail(text.tooLarge(file.size, limits.bytes));
    return;
  }
  tell(() => text.working(name));
  const later = setTimeout(() => tell(() => text.working(name) + text.slow), SLOW_MS);
  try {
    const found = await ask('api/predict?arrays=true',
      { method: 'POST', body: file, signal: mine.signal });
    found.labels = await unpack(found.labels);
    if (found.ranking) {
      found.ranking.classes = await unpack(found.ranking.classes);
      found.ranking.probabilities = await unpack(found.ranking.probabilities);
    }
    found.picture = await createImageBitmap(
      new Blob([bytesOf(found.image_jpeg)], { type: 'image/jpeg' }));
    found.name = name.replace(/\.[^.]*$/, '');
    if (mine === running) show(found);
  } catch (error) {
    if (error.name !== 'AbortError') fail(error.message);
  } finally {
    clearTimeout(later);
  }
}

function show(found) {
  result = found;
  hidden.clear();
  for (const id of ['picture', 'overlay']) {
    at(id).width = found.width;
    at(id).height = found.height;
  }
  at('picture').getContext('2d').drawImage(found.picture, 0, 0);
  tint();
  tell(() => text.done(found.width, found.height, found.seconds.toFixed(2)));
  showLegend();
  at('notes').textContent = found.notes.join('; ');
  at('pointer').textContent = text.point;
  at('probabilities').replaceChildren();
  at('result').hidden = false;
}

function tint() {
  const context = at('overlay').getContext('2d');
  const pixels = context.createImageData(result.width, result.height);
  const colours = new Uint32Array(65536);  // of classes, and none of values beyond them
  const one = new DataView(new ArrayBuffer(4));
  for (const { index, colour } of result.classes) {
    if (colour && !hidden.has(index)) {
      [...colour, 255].forEach((value, i) => one.setUint8(i, value));
      colours[index] = one.getUint32(0, true);
    }
  }
  const out = new Uint32Array(pixels.data.buffer);
  result.labels.forEach((value, i) => { out[i] = colours[value]; });
  context.putImageData(pixels, 0, 0);
}

function swatch(colour) {
  const node = document.createElement('i');
  if (colour) node.style.backgroundColor = `rgb(${colour})`;
  return node;
}

function showLegend() {
  const there = result.classes.filter(c => c.pixels).sort((a, b) => b.pixels - a.pixels);
  at('legend').replaceChildren(...there.map(each => {
    const row = document.createElement('tr');
    const [name, pixels, share] = [0, 1, 2].map(() => row.insertCell());
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = !hidden.has(each.index);
    box.disabled = !each.colour;
    box.addEventListener('change', () => {
      box.checked ? hidden.delete(each.index) : hidden.add(each.index);
      tint();
    });
    const both = document.createElement('label');
    both.append(box, swatch(each.colour), each.name);
    name.append(both);
    pixels.textContent = each.pixels.toLocaleString(language);
    share.textContent = `${(100 * each.share).toFixed(2)} %`;
    pixels.className = share.className = 'number';
    return row;
  }));
  const absent = result.classes.filter(c => !c.pixels).map(c => c.name);
  at('absent').textContent = absent.length ? text.absent(absent.join(', ')) : '';
}

function point(event) {
  if (!result) return;
  const box = at('overlay').getBoundingClientRect();
  const place = (value, start, length, count) =>
    Math.min(Math.max(Math.floor((value - start) / length * count), 0), count - 1);
  const x = place(event.clientX, box.left, box.width, result.width);
  const y = place(event.clientY, box.top, box.height, result.height);
  const i = y * result.width + x;
  const nameOf = index => (result.classes[index] || { name: `${index}` }).name;
  const ranking = result.ranking;
  at('pointer').textContent = text.here(x, y, nameOf(result.labels[i])) +
    (ranking ? '' : text.labelsOnly);
  const size = result.width * result.height;
  const ranks = ranking ? [...Array(ranking.count).keys()] : [];
  at('probabilities').replaceChildren(...ranks.map(rank => {
    const share = ranking.probabilities[rank * size + i] / 255;
    const row = document.createElement('div');
    const [name, bar, value] = ['span', 'meter', 'span'].map(k => document.createElement(k));
    name.textContent = nameOf(ranking.classes[rank * size + i]);
    bar.value = share;
    value.textContent = `${(100 * share).toFixed(1)} %`;
    value.className = 'number';
    row.append(name, bar, value);
    return row;
  }));
}

function save(blob, ending) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${result.name}_${ending}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function saveOverlay() {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [result.width, result.height];
  const context = canvas.getContext('2d');
  context.drawImage(at('picture'), 0, 0);
  context.globalAlpha = at('opacity').value / 100;
  context.drawImage(at('overlay'), 0, 0);
  canvas.toBlob(blob => save(blob, 'overlay'));
}

async function openCamera() {
  at('error').hidden = true;
  if (!navigator.mediaDevices) {
    fail(text.insecure);
    return;
  }
  try {
    const video = { facingMode: 'environment', width: { ideal: 1920 } };
    at('video').srcObject = await navigator.mediaDevices.getUserMedia({ video });
    at('shooting').hidden = false;
  } catch (error) {
    fail(`${text.noCamera} (${error.name})`);
  }
}

function closeCamera() {
  const stream = at('video').srcObject;
  if (stream) stream.getTracks().forEach(track => track.stop());
  at('video').srcObject = null;
  at('shooting').hidden = true;
}

function shoot() {
  const video = at('video');
  if (!video.videoWidth) return;  // no frame has come yet
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext('2d').drawImage(video, 0, 0);
  closeCamera();
  canvas.toBlob(blob => label(new File([blob], 'camera.png', { type: 'image/png' })));
}

function take(transfer) {
  const file = transfer.files[0];
  if (file) label(file); else fail(text.noFile);
}

at('language').addEventListener('click', () => {
  language = language === 'zh' ? 'en' : 'zh';
  speak();
});
at('file').addEventListener('change', event => {
  if (event.target.files[0]) label(event.target.files[0]);
  event.target.value = '';  // so that the same file can be chosen again
});
at('camera').addEventListener('click', openCamera);
at('close').addEventListener('click', closeCamera);
at('shoot').addEventListener('click', shoot);
at('opacity').addEventListener('input', event => {
  at('overlay').style.opacity = event.target.value / 100;
  at('percent').textContent = `${event.target.value} %`;
});
at('stage').addEventListener('pointermove', point);
at('stage').addEventListener('pointerdown', point);
at('save-labels').addEventListener('click', () =>
  save(new Blob([bytesOf(result.labels_png)], { type: 'image/png' }), 'labels'));
at('save-overlay').addEventListener('click', saveOverlay);
document.addEventListener('dragover', event => {
  event.preventDefault();
  at('input').classList.add('over');
});
document.addEventListener('dragleave', () => at('input').classList.remove('over'));
document.addEventListener('drop', event => {
  event.preventDefault();
  at('input').classList.remove('over');
  take(event.dataTransfer);
});
document.addEventListener('paste', event => take(event.clipboardData));

speak();
ask('api/model').then(model => {
  limits = model.limits;
  at('model').textContent = document.title = model.model;
}, error => fail(error.message));
