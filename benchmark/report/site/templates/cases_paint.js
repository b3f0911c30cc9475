"use strict";
// Planes of a volume on canvases: the image, outlines of structures, and what was predicted wrongly.
// A volume has `image` and `truth` (bytes), `shape` (z, y, x), `spacing` (mm) and `corner` (mm).
(() => {
  const BLEND = 0.55, BAR_MM = 20;

  function plane(volume, array, z) {
    const size = volume.shape[1] * volume.shape[2];
    return array.subarray(z * size, (z + 1) * size);
  }

  // Where a volume lies in the field of its file, and what encloses several of them; in mm.
  function frameOf(volumes) {
    const edges = volumes.map(({ corner, shape, spacing }) => [
      corner[0], corner[1], corner[0] + shape[1] * spacing[1], corner[1] + shape[2] * spacing[2],
    ]);
    const [top, left] = [0, 1].map((i) => Math.min(...edges.map((edge) => edge[i])));
    const [bottom, right] = [2, 3].map((i) => Math.max(...edges.map((edge) => edge[i])));
    return { top, left, height: bottom - top, width: right - left };
  }

  // For each way the label can lie at top left (1), top right (2), bottom right (4) and bottom left
  // (8) of four pixels: from which side of the cell to which its outline runs, label at the left.
  const [T, R, B, L] = [[2, 1], [3, 2], [2, 3], [1, 2]];
  const SIDES = [
    [], [[L, T]], [[T, R]], [[L, R]], [[R, B]], [[L, T], [R, B]], [[T, B]], [[L, B]],
    [[B, L]], [[B, T]], [[T, R], [B, L]], [[B, R]], [[R, L]], [[R, T]], [[T, L]], [],
  ];

  // Outlines by label: closed lines of points in pixels, by marching squares.
  function outlines(mask, height, width) {
    const row = 2 * width + 8;
    const links = new Map();
    const at = (y, x) => (y < 0 || x < 0 || y >= height || x >= width ? 0 : mask[y * width + x]);
    for (let y = -1; y < height; y++) {
      let [a, d] = [0, 0];
      for (let x = -1; x < width; x++) {
        const [b, c] = [at(y, x + 1), at(y + 1, x + 1)];
        if (a !== b || b !== c || c !== d) {
          for (const label of new Set([a, b, c, d])) {
            if (!label) continue;
            const where = (a === label) + 2 * (b === label) + 4 * (c === label) + 8 * (d === label);
            if (!links.has(label)) links.set(label, new Map());
            for (const ends of SIDES[where]) {
              const [from, to] = ends.map(([i, j]) => (2 * y + j + 2) * row + 2 * x + i + 2);
              links.get(label).set(from, to);
            }
          }
        }
        [a, d] = [b, c];
      }
    }
    const point = (key) => [(key % row) / 2 - 1, Math.floor(key / row) / 2 - 1];
    const lines = new Map();
    for (const [label, next] of links) {
      lines.set(label, []);
      while (next.size) {
        const line = [];
        let key = next.keys().next().value;
        while (next.has(key)) {
          line.push(point(key));
          const to = next.get(key);
          next.delete(key);
          key = to;
        }
        lines.get(label).push(line);
      }
    }
    return lines;
  }

  function extent(lines) {
    const [xs, ys] = [0, 1].map((i) => lines.flat().map((point) => point[i]));
    const span = (values) => values.reduce((m, v) => Math.max(m, v), -Infinity)
      - values.reduce((m, v) => Math.min(m, v), Infinity);
    return span(xs) * span(ys);
  }

  // A canvas of as many pixels as the plane has, coloured by a function of the pixel's index.
  function painted(volume, colour) {
    const [, height, width] = volume.shape;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    const data = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      const rgba = colour(i);
      if (rgba) data.data.set(rgba, 4 * i);
    }
    context.putImageData(data, 0, 0);
    return canvas;
  }

  function rgb(hex) {
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }

  // Which kind of error each pixel is: 0 none, then in the order of the legend.
  function errorKinds(truth, prediction) {
    return truth.map((true_, i) =>
      true_ === prediction[i] ? 0 : prediction[i] === 0 ? 1 : true_ === 0 ? 2 : 3);
  }

  // The image of a plane, for every panel that shows it.
  function greyOf(volume, z) {
    const image = plane(volume, volume.image, z);
    return painted(volume, (i) => [image[i], image[i], image[i], 255]);
  }

  // Draw a plane: the image, and over it outlines and errors as asked. `draw` has `frame`, `grey`,
  // `classes`, `errors`, `showErrors`, and of `truth` and `prediction` those to be shown.
  function paint(canvas, volume, draw) {
    const ratio = window.devicePixelRatio || 1;
    const [, height, width] = volume.shape;
    const [, yMm, xMm] = volume.spacing;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round((canvas.width * draw.frame.height) / draw.frame.width));
    const scale = canvas.width / draw.frame.width;
    const place = [
      (volume.corner[1] - draw.frame.left) * scale, (volume.corner[0] - draw.frame.top) * scale,
      width * xMm * scale, height * yMm * scale,
    ];
    const context = canvas.getContext("2d");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(draw.grey, ...place);
    const { truth, prediction } = draw;
    if (prediction && draw.showErrors) {
      const tints = Object.values(draw.errors).map((hex) => [...rgb(hex), 255 * BLEND]);
      const kinds = errorKinds(truth, prediction);
      context.imageSmoothingEnabled = false; // errors are of whole pixels
      context.drawImage(painted(volume, (i) => kinds[i] && tints[kinds[i] - 1]), ...place);
    }
    const stroke = (mask, colourOf, thickness, dashes) => {
      context.setLineDash(dashes.map((length) => length * ratio));
      context.lineWidth = thickness * ratio;
      // Structures share borders: the one that spreads furthest first, the inner one over it.
      const lines = [...outlines(mask, height, width)];
      for (const [label, found] of lines.sort((a, b) => extent(b[1]) - extent(a[1]))) {
        context.strokeStyle = colourOf(label);
        context.beginPath();
        for (const line of found) {
          line.forEach(([x, y], first) => {
            const to = [place[0] + x * xMm * scale, place[1] + y * yMm * scale];
            if (first === 0) context.moveTo(...to);
            else context.lineTo(...to);
          });
          context.closePath();
        }
        context.stroke();
      }
    };
    const own = (label) => draw.classes.find((one) => one.label === label)?.colour ?? "#fff";
    if (prediction) {
      stroke(truth, () => "#fff", 1, [4, 3]);
      stroke(prediction, own, 1.8, []);
    } else if (truth) stroke(truth, own, 1.8, []);
    else bar(context, scale, ratio, canvas);
  }

  function bar(context, scale, ratio, canvas) {
    const [start, level] = [8 * ratio, canvas.height - 8 * ratio];
    if (BAR_MM * scale > 0.6 * canvas.width) return;
    context.fillStyle = "#fff";
    context.fillRect(start, level, BAR_MM * scale, 2 * ratio);
    context.font = `${11 * ratio}px sans-serif`;
    context.fillText(`${BAR_MM} mm`, start, level - 4 * ratio);
  }

  window.casePaint = { plane, frameOf, outlines, errorKinds, greyOf, paint };
})();
