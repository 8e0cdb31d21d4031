/** The pictures that the reference's recordings were made with, by the formula of `picture` in tests/parity/reference.py. */

/**
 * @param {number[][]} sides height and width of each
 * @returns {ImageData[]}
 */
export const recordedPictures = (sides) =>
  sides.map(([height, width], n) => {
    const picture = new ImageData(width, height);
    // The level at place i of [height, width, 3] of picture n.
    for (let i = 0; i < 3 * width * height; i++) {
      picture.data[4 * Math.floor(i / 3) + (i % 3)] = (7 * i * i + 13 * i + 31 * n) % 256;
    }
    for (let pixel = 0; pixel < width * height; pixel++) picture.data[4 * pixel + 3] = 255;
    return picture;
  });
