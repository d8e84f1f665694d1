import { title } from "./title.js";

const heading = document.createElement("h1");
heading.textContent = title;

const button = document.createElement("button");
let count = 0;
const show = () => {
  button.textContent = `count is ${count}`;
};
button.addEventListener("click", () => {
  count += 1;
  show();
});
show();
document.body.append(heading, button);

if (module.hot) {
  module.hot.accept("./title.js", () => {
    heading.textContent = title;
  });
}
