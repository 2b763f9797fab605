// Writes the account of the environment into the password file, then hands over to Verdaccio.
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const bcrypt = require("bcryptjs");

const file = "/verdaccio/storage/htpasswd";
const user = process.env.VERDACCIO_USERNAME || "admin";
const password = process.env.VERDACCIO_PASSWORD;
if (!/^[a-z0-9._-]+$/i.test(user) || !password) {
    console.error("VERDACCIO_USERNAME must be a plain name, and VERDACCIO_PASSWORD has to be set.");
    process.exit(1);
}

const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
const known = lines.find((line) => line.startsWith(`${user}:`));
if (!known || !bcrypt.compareSync(password, known.split(":")[1])) {
    const others = lines.filter((line) => line !== known);
    writeFileSync(file, [...others, `${user}:${bcrypt.hashSync(password, 10)}`, ""].join("\n"), { mode: 0o600 });
}

process.argv.push("--config", "/app/config.yaml", "--listen", `http://0.0.0.0:${process.env.PORT || 4873}`);
require("./node_modules/verdaccio/bin/verdaccio");
