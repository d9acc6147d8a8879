// The line one types into, the message it replies to, and the menu of commands over it.

import { preview } from "./media.js";

const PLACEHOLDER = "Message";

export class Composer {
  constructor(send) {
    this.send = send;
    this.commands = [];
    this.form = document.getElementById("composer");
    this.text = document.getElementById("text");
    this.button = document.getElementById("send");
    this.opener = document.getElementById("commands");
    this.menu = document.getElementById("menu");
    this.picked = -1;
    this.replyBar = document.getElementById("replying");
    this.replyTo = null;
    document.getElementById("no-reply").addEventListener("click", () => this.noReply());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("input", () => this.typed());
    this.text.addEventListener("keydown", (event) => this.key(event));
    this.opener.addEventListener("click", () => this.toggle());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
      if (!this.menu.hidden) {
        this.close();
        this.text.focus();
      } else if (this.replyTo !== null) {
        this.noReply();
      }
    });
    // Whoever begins to type means this line.
    document.addEventListener("keydown", (event) => {
      const isLetter = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
      const isIdle = document.activeElement === document.body || document.activeElement.id === "scroll";
      if (isLetter && isIdle) this.text.focus();
    });
    document.addEventListener("pointerdown", (event) => {
      if (!this.menu.contains(event.target) && !this.form.contains(event.target)) this.close();
    });
  }

  setCommands(commands) {
    this.commands = commands;
    this.opener.hidden = commands.length === 0;
    if (!this.menu.hidden) this.typed();
  }

  // The next text answers that message.
  reply(message, placeholder = "") {
    this.replyTo = message.message_id;
    document.getElementById("replying-who").textContent = `Reply to ${message.from.first_name}`;
    document.getElementById("replying-text").textContent = preview(message);
    this.text.placeholder = placeholder || PLACEHOLDER;
    this.replyBar.hidden = false;
    this.text.focus();
  }

  noReply() {
    this.forget(this.replyTo);
    this.text.focus();
  }

  // That message is answered, or gone.
  forget(messageId) {
    if (messageId === null || this.replyTo !== messageId) return;
    this.replyTo = null;
    this.replyBar.hidden = true;
    this.text.placeholder = PLACEHOLDER;
  }

  async submit() {
    const text = this.text.value.trim();
    if (!text) return;
    const replyTo = this.replyTo;
    this.close();
    this.text.value = "";
    this.typed();
    if (await this.send(text, replyTo)) {
      this.forget(replyTo);
    } else if (!this.text.value) {
      this.text.value = text;
      this.typed();
    }
  }

  typed() {
    this.button.disabled = !this.text.value.trim();
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
    const prefix = /^\/(\w*)$/.exec(this.text.value);
    if (prefix) this.open(this.commands.filter((item) => item.command.startsWith(prefix[1].toLowerCase())));
    else this.close();
  }

  toggle() {
    if (this.menu.hidden) this.open(this.commands);
    else this.close();
    this.text.focus();
  }

  open(commands) {
    if (commands.length === 0) {
      this.close();
      return;
    }
    this.menu.replaceChildren(...commands.map((item, index) => this.option(item, index)));
    this.menu.hidden = false;
    this.menu.scrollTop = 0;
    this.opener.setAttribute("aria-expanded", "true");
    this.pick(-1);
  }

  close() {
    this.menu.hidden = true;
    this.picked = -1;
    this.opener.setAttribute("aria-expanded", "false");
    this.text.removeAttribute("aria-activedescendant");
  }

  option(item, index) {
    const line = document.createElement("li");
    line.id = `command-${index}`;
    line.setAttribute("role", "option");
    line.dataset.command = `/${item.command}`;
    const name = document.createElement("b");
    name.append(`/${item.command}`);
    const description = document.createElement("span");
    description.append(item.description);
    line.append(name, description);
    line.addEventListener("click", () => this.choose(line));
    return line;
  }

  choose(line) {
    this.text.value = line.dataset.command;
    this.submit();
    this.text.focus();
  }

  pick(index) {
    const lines = [...this.menu.children];
    this.picked = lines.length && index !== -1 ? (index + lines.length) % lines.length : -1;
    lines.forEach((line, at) => line.setAttribute("aria-selected", String(at === this.picked)));
    if (this.picked === -1) {
      this.text.removeAttribute("aria-activedescendant");
      return;
    }
    this.text.setAttribute("aria-activedescendant", lines[this.picked].id);
    lines[this.picked].scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (event.isComposing) return;
    const open = !this.menu.hidden;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const down = event.key === "ArrowDown";
      this.pick(this.picked === -1 ? (down ? 0 : this.menu.children.length - 1) : this.picked + (down ? 1 : -1));
    } else if (open && event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      const line = this.menu.children[Math.max(this.picked, 0)];
      this.text.value = `${line.dataset.command} `;
      this.typed();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (open && this.picked !== -1) this.choose(this.menu.children[this.picked]);
      else this.submit();
    }
  }
}
