-- Health of an Application for the Application that made it: Argo CD itself gives it none, and
-- would begin the next sync wave as soon as the Application is there.
local status = obj.status or {}
if status.health == nil or status.health.status == nil then
  return { status = "Progressing", message = "Not compared yet" }
end
-- Nothing may be Healthy that Git has moved on from.
if status.health.status == "Healthy" and (status.sync or {}).status ~= "Synced" then
  return { status = "Progressing", message = "Not synced yet" }
end
return { status = status.health.status, message = status.health.message or "" }
