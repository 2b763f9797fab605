module.exports = ({ env }) => ({
  host: "0.0.0.0",
  port: env.int("PORT", 1337),
  url: env("PUBLIC_URL"),
  // Requests come through the platform's proxy.
  proxy: { koa: true },
  app: { keys: env.array("APP_KEYS") },
});
