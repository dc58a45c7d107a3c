"use strict";
/* TAP lines for tests in JavaScript. */
let failures = 0;

/* The check passes unless it throws. */
exports.check = async (name, body) => {
  try {
    await body();
    console.log("ok - " + name);
  } catch (error) {
    failures++;
    console.log(String(error.stack).replace(/^/gm, "# "));
    console.log("not ok - " + name);
  }
};
exports.finish = () => {
  process.exitCode = failures === 0 ? 0 : 1;
};
