// Everything works without this file. It keeps stock and prices fresh, adds up, and spares a second press.
"use strict";

// Says the same as the server's pages; the element knows the currency.
function money(cents, { prefix, decimals }) {
  const digits = Number(decimals);
  return prefix + (cents / 10 ** digits).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// Says the same as stock() and stock_class() of the server's pages.
function showStock(element, stock) {
  const low = stock <= 5;
  element.className = "stock " + (stock === 0 ? "out" : low ? "low" : "in");
  element.textContent = stock === 0 ? "Sold out" : low ? `Only ${stock} left` : `${stock.toLocaleString("en")} in stock`;
}

function showChange(event) {
  let change;
  try {
    change = JSON.parse(event.data);
  } catch {
    return;
  }
  document.querySelectorAll(`[data-stock="${Number(change.book)}"]`).forEach((element) => showStock(element, change.stock));
  document.querySelectorAll(`[data-price="${Number(change.book)}"]`).forEach((element) => {
    element.textContent = money(change.price_cents, element.dataset);
  });
}

// Too much has changed since this page listened last: what it shows is read again, one book at a time.
async function showAgain() {
  for (const book of new Set([...document.querySelectorAll("[data-stock]")].map((element) => Number(element.dataset.stock)))) {
    const answer = await fetch(`/info/${book}`, { headers: { accept: "application/json" } }).catch(() => null);
    if (answer?.ok) {
      const { stock, price_cents } = await answer.json();
      showChange({ data: JSON.stringify({ book, stock, price_cents }) });
    }
  }
}

// A hidden page gives its connection back: browsers have few for one server.
let events = null;
function listen() {
  const wanted = !document.hidden && document.querySelector("[data-stock]") !== null;
  if (wanted && events === null) {
    events = new EventSource("/events");
    events.addEventListener("stock", showChange);
    events.addEventListener("reset", showAgain);
  } else if (!wanted && events !== null) {
    events.close();
    events = null;
  }
}
document.addEventListener("visibilitychange", listen);
addEventListener("pagehide", () => { events?.close(); events = null; });

// One press is enough; a visitor who comes back to the page may press again.
document.addEventListener("submit", (event) => {
  if (event.target.method === "post") {
    setTimeout(() => event.target.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  }
});
addEventListener("pageshow", () => {
  document.querySelectorAll("button:disabled").forEach((button) => { button.disabled = false; });
  listen();
});

document.querySelectorAll("output[data-each]").forEach((output) => {
  const quantity = document.getElementById(output.htmlFor[0]);
  const add = () => {
    const copies = Number(quantity.value);
    output.hidden = !(Number.isInteger(copies) && copies >= 1);
    output.textContent = "Total " + money(copies * Number(output.dataset.each), output.dataset);
  };
  quantity.addEventListener("input", add);
  add();
});
