document.getElementById("plain").textContent = document.getElementById("data").textContent;
