'use strict';
// A click on a column's head sorts its table: numbers by value, first the largest; texts by letter.
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const isNumber = head.classList.contains('number');
    const before = head.getAttribute('aria-sort');
    const descending = before === 'none' ? isNumber : before === 'ascending';
    const key = row => {
      const cell = row.cells[column];
      if (!isNumber) return cell.textContent;
      return cell.dataset.value === '' ? NaN : Number(cell.dataset.value);
    };
    const rows = [...table.tBodies[0].rows].map(row => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (!isNumber) return (descending ? -1 : 1) * a.localeCompare(b, 'en', { numeric: true });
      if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);  // n/a stays last
      return descending ? b - a : a - b;
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
    heads.forEach(other => other.setAttribute('aria-sort', 'none'));
    head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
  }));
}
// A click on a picture shows it large; another, or Escape, puts it back.
for (const image of document.querySelectorAll('.panels img')) {
  image.addEventListener('click', () => image.classList.toggle('large'));
}
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') {
    document.querySelectorAll('img.large').forEach(image => image.classList.remove('large'));
  }
});
// Pointing at a confusion matrix of many classes tells the cell.
for (const figure of document.querySelectorAll('.matrix-picture')) {
  const { classes, counts } = JSON.parse(figure.dataset.matrix);
  const image = figure.querySelector('img');
  const caption = figure.querySelector('figcaption');
  image.addEventListener('mousemove', event => {
    const box = image.getBoundingClientRect();
    const cell = (at, length) =>
      Math.min(Math.max(Math.floor(at / length * classes.length), 0), classes.length - 1);
    const row = cell(event.clientY - box.top, box.height);
    const column = cell(event.clientX - box.left, box.width);
    const total = counts[row].reduce((sum, count) => sum + count, 0);
    const share = total ? `${(100 * counts[row][column] / total).toFixed(2)} %` : 'n/a';
    caption.textContent = `${classes[row]} predicted as ${classes[column]}: ` +
      `${counts[row][column].toLocaleString('en')} pixels, ${share}`;
  });
}
